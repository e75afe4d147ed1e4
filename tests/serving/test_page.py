# ruff: noqa: F811 (fixtures are imported)
"""The page at ``/`` in a browser: every task, both themes, keys alone, hostile texts, errors."""

import json
import re
import urllib.request

import pytest
from browser import open_browser
from script_runs import tiny_folder, tiny_pipeline, tokenizer  # noqa: F401 (fixtures)
from served import folders, make_client  # noqa: F401 (fixtures)
from test_processes import start  # noqa: F401 (fixtures)

HOSTILE = '<script>document.title = "hit"</script> "\'><img src=x onerror=alert(1)>'
FIRST, SECOND = 'the cat sleeps', 'a dog barks'
TEXTS = [FIRST, SECOND, 'the sun', 'here', 'the dogs', 'without the moon', 'loudly']
CASES = {
    'mood': {'text': FIRST},
    'topics': {'text': FIRST},
    'stars': {'text': FIRST},
    'names': {'text': 'the cat sleeps here . a dog'},
    'answers': {'question': 'the cat', 'context': 'a dog barks . the cat sleeps here'},
    'rank': {'first': FIRST, 'second': SECOND},
    'words': {'text': 'the [MASK] sleeps [MASK]'},
    'vectors': {'text': '\n'.join([*TEXTS[:-1], '', f' {TEXTS[-1]} '])},
}
DONE = "return document.querySelector('#status').textContent || null"
FAILED = "return document.querySelector('#error').textContent || null"


@pytest.fixture(scope='module')
def shared_browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp('profile')) as browser:
        yield browser


@pytest.fixture
def browser(shared_browser):
    """A browser; the test fails on a message of its console or a request to another place."""
    shared_browser.open('about:blank')
    shared_browser.show_as()
    shared_browser.log('browser')
    shared_browser.requests()
    shared_browser.expected = ()
    yield shared_browser
    lines, expected = shared_browser.log('browser'), shared_browser.expected
    assert [line for line in lines if not any(word in line for word in expected)] == []
    asked = [url for url in shared_browser.requests() if not url.startswith(('about:', 'data:'))]
    assert len(asked) >= 6 and {url.split('/')[2].split(':')[0] for url in asked} == {'127.0.0.1'}


def serve_all(start, folders, *arguments, **options):
    named = [f'{name}={folders[name]}' for name in CASES if name in folders]
    return start(*named, *arguments, **options)


def open_page(browser, server):
    browser.open(server.url() + '/')
    browser.wait("return document.querySelectorAll('#model option').length")


def choose(browser, name):
    browser.run(
        "const list = document.querySelector('#model');"
        'list.selectedIndex = [...list.options].findIndex((o) => o.text === arguments[0]);'
        "list.dispatchEvent(new Event('change'))",
        name,
    )


def ask(browser, values):
    for name, text in values.items():
        browser.fill(f'#field-{name}', text)
    browser.click('#run')
    return browser.wait(DONE)


def answer_of(server, path, body):
    request = urllib.request.Request(server.url() + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def shown(value, digits=3):
    return f'{value:.{digits}f}'.replace('-', '\u2212')


def check_labels(browser, server, name, values):
    inputs = [list(values.values())] if len(values) == 2 else values['text']
    (rows,) = answer_of(server, f'/models/{name}', {'inputs': inputs})
    assert browser.texts('.bars tbody th') == [row['label'] for row in rows]
    assert browser.texts('.bars tbody .number') == [shown(row['score']) for row in rows]
    widths = browser.run(
        "return [...document.querySelectorAll('.fill')].map((e) => e.offsetWidth"
        ' / e.parentElement.clientWidth)'
    )
    assert widths == pytest.approx([row['score'] for row in rows], abs=0.02)
    return rows


def check_decisions(browser, server, name, values):
    rows = check_labels(browser, server, name, values)
    bounds = {'low': 0.5, 'mid': 0.25, 'high': 0.75}
    given = ['yes' if row['score'] >= bounds[row['label']] else 'no' for row in rows]
    assert browser.texts('.bars tbody .decision') == given


def check_score(browser, server, name, values):
    inputs = [list(values.values())] if len(values) == 2 else values['text']
    (rows,) = answer_of(server, f'/models/{name}', {'inputs': inputs})
    assert browser.text('#status') == f'Score: {shown(rows[0]["score"])}'


def check_entities(browser, server, name, values):
    rows = answer_of(server, f'/models/{name}', {'inputs': values['text']})
    assert rows  # the network is random, not its seed
    marks = [row['word'] + row['entity_group'] for row in rows]
    assert browser.texts('.text mark') == marks
    assert browser.texts('#output td:nth-child(1)') == [row['word'] for row in rows]
    assert browser.texts('#output td:nth-child(3)') == [shown(row['score']) for row in rows]
    types = sorted({row['entity_group'] for row in rows})
    assert browser.texts('.swatch') == types
    assert len(set(colours(browser, '.swatch'))) == len(types)


def colours(browser, selector):
    return browser.run(
        'return [...document.querySelectorAll(arguments[0])].map('
        '(e) => getComputedStyle(e).backgroundColor)',
        selector,
    )


def check_answer(browser, server, name, values):
    rows = answer_of(server, f'/models/{name}', {'inputs': values, 'parameters': {'top_k': 5}})
    assert browser.texts('.text') == [values['context']]
    assert browser.texts('.text mark') == [rows[0]['answer']]
    assert rows[0]['answer'] == values['context'][rows[0]['start'] : rows[0]['end']]
    assert browser.texts('.bars tbody th') == [row['answer'] for row in rows]
    assert shown(rows[0]['score']) in browser.text('#status')


def check_words(browser, server, name, values):
    masks = answer_of(server, f'/models/{name}', {'inputs': values['text']})
    assert len(browser.texts('.bars')) == len(masks) == 2
    words = [word for words in masks for word in words]
    assert browser.texts('.bars tbody th') == [word['token_str'] for word in words]
    assert browser.texts('.bars tbody .number') == [shown(word['score']) for word in words]


def check_similarities(browser, server, name, values):
    rows = [
        answer_of(
            server,
            f'/models/{name}/similarity',
            {'inputs': {'source_sentence': text, 'sentences': TEXTS}},
        )
        for text in TEXTS
    ]
    numbers = [float(cell.replace('\u2212', '-')) for cell in browser.texts('.matrix .number')]
    assert numbers == pytest.approx([value for row in rows for value in row], abs=0.0051)
    assert browser.texts('.matrix tbody th') == [f'{i}. {t}' for i, t in enumerate(TEXTS, 1)]


CHECKS = {
    'mood': check_labels,
    'topics': check_decisions,
    'stars': check_score,
    'names': check_entities,
    'answers': check_answer,
    'rank': check_score,
    'words': check_words,
    'vectors': check_similarities,
}


@pytest.fixture
def all_folders(folders, tiny_folder):
    return {**folders, 'vectors': tiny_folder()[0]}


def test_every_task_shows_its_result_in_both_themes_and_widths(browser, start, all_folders):
    server = serve_all(start, all_folders)
    open_page(browser, server)
    assert browser.texts('#model option') == list(CASES)
    for name, values in CASES.items():
        choose(browser, name)
        ask(browser, values)
        CHECKS[name](browser, server, name, values)
        grounds = set()
        for scheme in ('light', 'dark'):
            for width in (1280, 400):
                browser.show_as(width, scheme)
                wide = browser.run('return document.documentElement.scrollWidth')
                assert wide <= width, (name, width, wide)
                ratio, where = browser.contrast()
                assert ratio >= 4.5, (name, scheme, ratio, where)
            grounds.update(colours(browser, 'body'))
        assert len(grounds) == 2
        browser.show_as()


def test_pairs_of_sentences(browser, start, folders):
    server = start(folders['words'], '--task', 'next-sentence')
    open_page(browser, server)
    values = {'first': FIRST, 'second': SECOND}
    ask(browser, values)
    rows = check_labels(browser, server, 'words', values)
    assert {row['label'] for row in rows} == {'follows', 'random'}


def test_texts_and_labels_are_never_markup(browser, start, tiny_pipeline, tmp_path):
    label = HOSTILE.replace("'", '')
    tiny_pipeline('text-classification', folder=tmp_path / 'a', labels=[label, 'b', ''])
    tiny_pipeline('question-answering', folder=tmp_path / 'b')
    tiny_pipeline('token-classification', folder=tmp_path / 'c', kinds=[label[:30], 'y'])
    server = start(tmp_path / 'a', tmp_path / 'b', tmp_path / 'c', '--auto_truncate')
    open_page(browser, server)
    ask(browser, {'text': HOSTILE})
    assert sorted(browser.texts('.bars tbody th')) == sorted([label, 'b', '(empty)'])
    # An emoji is two characters of a browser: answers stand where Python's characters are.
    context = f'\U0001f600 the cat \U0001f600 {HOSTILE}'
    choose(browser, 'b')
    browser.run(
        "document.querySelector('#field-context').value = arguments[0];"
        "document.querySelector('#field-question').value = 'the cat'",
        context,
    )
    browser.click('#run')
    browser.wait(DONE)
    inputs = {'question': 'the cat', 'context': context}
    best = answer_of(server, '/models/b', {'inputs': inputs})
    assert browser.texts('.text mark') == [context[best['start'] : best['end']]]
    assert browser.texts('.text') == [context]
    choose(browser, 'c')
    ask(browser, {'text': HOSTILE})
    assert browser.texts('#output script, #output img') == []
    assert browser.run('return document.title') == 'gluon_bert'
    # The browser itself refuses markup, should a line of ours ever write it.
    refused = browser.run("try { document.body.innerHTML = '<b>'; } catch (e) { return e.name; }")
    assert refused == 'TypeError'
    browser.expected = ('TrustedHTML', 'Trusted Type')


def test_keys_alone(browser, start, folders):
    server = start(f'mood={folders["mood"]}', f'answers={folders["answers"]}')
    open_page(browser, server)
    seen = []
    for _ in range(6):
        browser.press('Tab')
        name, outline = browser.focused()
        assert outline >= 2, name
        seen.append(name)
    assert seen == ['model', 'field-text', 'field-truncate', 'run', 'example', 'attend']
    browser.run("document.querySelector('#model').focus()")
    browser.press('Down')
    browser.wait("return document.querySelector('#field-context') !== null")
    browser.press('Tab', *'the cat', 'Tab', *'a dog barks', held=())
    browser.press('Enter', held=('Control',))
    assert browser.wait(DONE).startswith('Answer: ')
    assert browser.focused()[0] == 'field-context'  # where one may write on
    for selector, role in (('#status', 'status'), ('#error', 'alert')):
        assert browser.run('return document.querySelector(arguments[0]).role', selector) == role
    nameless = browser.run(
        "return [...document.querySelectorAll('input, select, textarea')]"
        '.filter((e) => !e.labels.length).length'
    )
    assert nameless == 0


def test_a_key_is_asked_for_and_kept_in_memory(browser, start, folders):
    environment = {'GLUON_BERT_API_KEY': 'right-key'}
    server = start(folders['mood'], environment=environment)
    browser.expected = ('401',)
    browser.open(server.url() + '/')
    assert 'asks for an API key' in browser.wait(FAILED)
    assert browser.focused()[0] == 'key'
    browser.press(*'wrong', 'Enter')
    assert browser.wait("return /does not take/.test(document.querySelector('#error').textContent)")
    browser.fill('#key', 'right-key')
    browser.press('Enter')
    browser.wait("return !document.querySelector('#form').hidden")
    assert 'Most probable: ' in ask(browser, {'text': FIRST})
    assert browser.run("return document.querySelector('#key-form').hidden")
    kept = browser.run('return [localStorage.length, sessionStorage.length, document.cookie]')
    assert kept == [0, 0, '']


def test_errors_are_in_words(browser, start, folders):
    server = start(folders['mood'])
    browser.expected = ('422', 'ERR_CONNECTION_REFUSED')
    open_page(browser, server)
    browser.fill('#field-text', 'sun ' * 30)
    browser.click('#run')
    assert '32 tokens, the model reads 16' in browser.wait(FAILED)
    browser.click('#field-truncate')
    browser.click('#run')
    assert browser.wait(DONE).endswith('1 text was cut.')
    assert browser.texts('#error') == ['']
    # What a server under load answers, and a proxy before one that is not there.
    for status, headers, body, line in (
        (
            429,
            {'retry-after': '3'},
            '{"error": "full"}',
            'The server is busy: full. Try again in 3 s.',
        ),
        (502, {}, '<b>Bad gateway</b>', 'The server refused: status 502'),
        (200, {}, '<b>', 'The answer of the server cannot be read.'),
    ):
        browser.run(
            'const [body, status, headers] = arguments; window.ours = window.ours || window.fetch;'
            'window.fetch = async () => new Response(body, { status, headers })',
            body,
            status,
            headers,
        )
        browser.click('#run')
        browser.wait('return document.querySelector("#error").textContent === arguments[0]', line)
    browser.run('window.fetch = window.ours')
    server.end()
    browser.click('#run')
    line = 'The server cannot be reached.'
    browser.wait('return document.querySelector("#error").textContent === arguments[0]', line)
    assert browser.texts('#output') == ['']


def test_files_of_the_page(make_client):
    client = make_client('mood', api_keys=('key',))
    page = client.get('/')
    assert page.status_code == 200 and page.headers['content-type'].startswith('text/html')
    names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(names) == 3
    for name in (*names, *(f'page/{name}.js' for name in ('tasks', 'views', 'attention', 'grid'))):
        answer = client.get(f'/{name}')
        assert answer.status_code == 200, name
        assert "default-src 'none'" in answer.headers['content-security-policy']
        assert 'unsafe' not in answer.headers['content-security-policy']
        assert answer.headers['x-content-type-options'] == 'nosniff'
        assert 'http' not in answer.text.replace('http://www.w3.org/2000/svg', '')
    assert client.head('/').status_code == 200
    for path in ('/page/', '/page/../app.py', '/page/%2e%2e/app.py', '/page/index.html'):
        assert client.get(path).status_code in (401, 404)


def test_without_a_key_the_page_opens_and_its_models_do_not(make_client):
    client = make_client('mood', 'topics', api_keys=('key',))
    assert client.get('/page/models').status_code == 401
    assert client.post('/', json={'inputs': FIRST}).status_code == 401
    rows = client.get('/page/models', headers={'authorization': 'Bearer key'}).json()
    about = {'reads_pairs': False, 'max_length': 16, 'attention_length': 16}
    about['mask_token'] = '[MASK]'
    bounds = {'low': 0.5, 'mid': 0.25, 'high': 0.75}
    assert rows == [
        {'name': 'mood', 'task': 'text-classification', **about},
        {'name': 'topics', 'task': 'multi-label-classification', **about, 'thresholds': bounds},
    ]
