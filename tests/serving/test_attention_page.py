# ruff: noqa: F811 (fixtures are imported)
"""Attention on the page, in a browser: its numbers, keys alone, both themes and widths."""

import numpy as np
import pytest
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders  # noqa: F401 (fixtures)
from test_page import (
    CASES,
    HOSTILE,
    all_folders,  # noqa: F401 (a fixture)
    answer_of,
    browser,  # noqa: F401 (a fixture)
    choose,
    colours,
    open_page,
    serve_all,
    shared_browser,  # noqa: F401 (a fixture)
    shown,
)
from test_processes import start  # noqa: F401 (fixtures)

CELLS = '.heat td[role=gridcell]'
# The text of each case whose attention is shown, as the server is asked for it.
INPUTS = {
    name: list(values.values()) if len(values) == 2 else values['text'].split('\n')[0]
    for name, values in CASES.items()
}
NUMBERS = """
return [...document.querySelectorAll('.heat td[role=gridcell]')].map(
  (cell) => [cell.ariaLabel, getComputedStyle(cell).backgroundColor]);
"""
# The opacity of each pixel of a small map.
PIXELS = """
const canvas = document.querySelectorAll('.thumb canvas')[arguments[0]];
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
return [...data].filter((_, index) => index % 4 === 3);
"""


def attend(browser, values):
    for name, text in values.items():
        browser.fill(f'#field-{name}', text)
    browser.click('#attend')
    return browser.wait("return document.querySelector('#attention-status').textContent || null")


def select(browser, name, number):
    browser.run(
        'const list = document.querySelector(arguments[0]); list.selectedIndex = arguments[1];'
        "list.dispatchEvent(new Event('change'))",
        f'#attention-{name}',
        number,
    )


def check_map(browser, answer, layer, head):
    """The numbers that are read out and the colours are those of one head."""
    rows = np.array(answer['attention'])[layer, head]
    tokens = [f'{token} ({place})' for place, token in enumerate(answer['tokens'])]
    cells = browser.run(NUMBERS)
    assert [label for label, _ in cells] == [
        f'{query} to {key}: {shown(rows[y, x])}'
        for y, query in enumerate(tokens)
        for x, key in enumerate(tokens)
    ]
    assert browser.texts('.heat thead th') == browser.texts('.heat tbody th') == answer['tokens']
    strongest = [[tokens[y], tokens[row.argmax()], shown(row.max())] for y, row in enumerate(rows)]
    listed = browser.texts('#attention details td')
    assert listed == [cell for row in strongest for cell in row]
    pixels = browser.run(PIXELS, layer * len(answer['attention'][0]) + head)
    np.testing.assert_allclose(pixels, 255 * np.sqrt(rows.ravel()), atol=0.6)
    assert browser.texts('.thumb[aria-pressed=true]') == ['']
    pressed = browser.run("return document.querySelector('.thumb[aria-pressed=true]').title")
    assert pressed == f'Layer {layer}, head {head}'


def test_every_model_shows_its_attention_in_both_themes_and_widths(browser, start, all_folders):
    server = serve_all(start, all_folders)
    open_page(browser, server)
    for name, values in CASES.items():
        choose(browser, name)
        line = attend(browser, values)
        answer = answer_of(server, f'/models/{name}/attention', {'inputs': INPUTS[name]})
        count = len(answer['tokens'])
        assert line == f'{count} tokens, 2 layers, 3 heads.'
        check_map(browser, answer, 0, 0)
        select(browser, 'layer', 1)
        select(browser, 'head', 2)
        check_map(browser, answer, 1, 2)
        second = browser.texts('.heat thead .col-edge'), browser.texts('.heat tbody th.row-edge')
        first = answer['num_first']
        assert second == (([answer['tokens'][first]],) * 2 if first < count else ([], []))
        grounds = set()
        for scheme in ('light', 'dark'):
            for width in (1280, 400):
                browser.show_as(width, scheme)
                wide = browser.run('return document.documentElement.scrollWidth')
                assert wide <= width, (name, width, wide)
                ratio, where = browser.contrast()
                assert ratio >= 4.5, (name, scheme, ratio, where)
            grounds.update(colours(browser, f'{CELLS}:not([style*="--share: 1"])')[:1])
        assert len(grounds) == 2
        browser.show_as()
    choose(browser, 'mood')
    assert browser.texts('#attention-output, #attention-status, #attention-texts') == [''] * 3


def test_heads_are_chosen_in_the_overview_and_texts_in_a_list(browser, start, all_folders):
    server = serve_all(start, {'vectors': all_folders['vectors']})
    open_page(browser, server)
    attend(browser, CASES['vectors'])
    browser.click('tbody tr:nth-child(2) td:nth-child(3) .thumb')
    lists = ('layer', 'head')
    script = "return document.querySelector('#attention-' + arguments[0]).selectedIndex"
    assert [browser.run(script, name) for name in lists] == [1, 1]
    assert len(browser.texts('#attention-text option')) == 7
    answer = answer_of(server, '/attention', {'inputs': 'the sun'})
    select(browser, 'text', 2)
    browser.wait(
        "return document.querySelectorAll('.heat thead th').length === arguments[0]",
        len(answer['tokens']),
    )
    check_map(browser, answer, 0, 0)


def test_keys_move_through_the_map(browser, start, folders):
    server = start(folders['mood'])
    open_page(browser, server)
    attend(browser, {'text': 'the cat sleeps'})
    answer = answer_of(server, '/attention', {'inputs': 'the cat sleeps'})
    rows, tokens = np.array(answer['attention'])[1, 0], answer['tokens']
    browser.run("document.querySelector('#attend').focus()")
    browser.press('Tab')
    assert browser.focused()[0] == 'attention-layer' and browser.focused()[1] >= 2
    browser.press('Down', 'Tab', 'Tab')
    place = (
        'const cell = document.activeElement;'
        'return [cell.parentElement.rowIndex - 1, cell.cellIndex - 1]'
    )
    assert browser.run(place) == [0, 0] and browser.focused()[1] >= 2
    for keys, expected in (
        (('Right', 'Right', 'Down'), [1, 2]),
        (('Left',), [1, 1]),
        (('Up', 'Up'), [0, 1]),  # not beyond the border
        (('End',), [0, 4]),
        (('Down', 'Home'), [1, 0]),
    ):
        browser.press(*keys)
        y, x = expected
        assert browser.run(place) == expected
        line = f'{tokens[y]} ({y}) \u2192 {tokens[x]} ({x}): {shown(rows[y, x])}'
        assert browser.text('.readout') == line
        assert browser.texts('.heat th.active') == [tokens[x], tokens[y]]
    browser.press('Tab', 'Tab')  # the list, which is closed, and the overview
    assert browser.run('return document.activeElement.title') == 'Layer 1, head 0'
    browser.press('Right', 'Up', 'Enter')
    check_map(browser, answer, 0, 1)
    nameless = browser.run(
        "return [...document.querySelectorAll('#attention select, #attention button')]"
        '.filter((e) => !(e.labels.length || e.ariaLabel || e.textContent)).length'
    )
    assert nameless == 0


def test_what_is_cut_or_wrong_is_said(browser, start, folders):
    server = start(folders['mood'], folders['rank'])
    open_page(browser, server)
    line = attend(browser, {'text': f'the {HOSTILE} ' * 3})
    assert line == '16 tokens, 2 layers, 3 heads. The text was cut to 16 tokens.'
    assert browser.texts('#attention script, #attention img') == []
    assert 'cut to 16 tokens' in browser.text('#attention-about')
    choose(browser, 'rank')
    browser.click('#attend')  # with nothing written
    assert browser.focused()[0] == 'field-first'
    assert browser.texts('#attention-status, #attention-error') == ['', '']
    server.end()
    browser.expected = ('ERR_CONNECTION_REFUSED',)
    browser.fill('#field-first', 'the cat')
    browser.fill('#field-second', 'a dog')
    browser.click('#attend')
    failed = "return document.querySelector('#attention-error').textContent || null"
    assert browser.wait(failed) == 'The server cannot be reached.'
    assert browser.texts('#attention-output') == ['']


@pytest.mark.weights
def test_the_longest_text(browser, start, real_folder):
    server = start(real_folder)
    open_page(browser, server)
    line = attend(browser, {'text': 'The cat chased the mouse because it was hungry. ' * 20})
    assert line.startswith('128 tokens, 6 layers, 12 heads. The text was cut')
    assert len(browser.texts(CELLS)) == 128**2
    for width in (1280, 400):
        browser.show_as(width)
        box = "const box = document.querySelector('.heat-box');"
        assert browser.run(f'{box} return box.scrollWidth > box.clientWidth')
        assert browser.run('return document.documentElement.scrollWidth') <= width
        # The tokens stay in sight where the map is scrolled, and the focus is never behind them.
        seen = browser.run(
            f'{box} box.scrollTo(500, 500); const edge = box.getBoundingClientRect();'
            "const first = document.querySelector('.heat tbody th').getBoundingClientRect();"
            "const head = document.querySelector('.heat thead th').getBoundingClientRect();"
            'return [first.left - edge.left, head.top - edge.top]'
        )
        assert seen == pytest.approx([0, 0], abs=1.5)
