"""A client of WebDriver, by which tests drive a browser; needs chromedriver and nothing else."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'  # the key of an element, by the standard
KEYS = {'Tab': '\ue004', 'Enter': '\ue007', 'Control': '\ue009', 'Space': ' '}
KEYS |= {'End': '\ue010', 'Home': '\ue011', 'Left': '\ue012', 'Up': '\ue013'}
KEYS |= {'Right': '\ue014', 'Down': '\ue015'}
FLAGS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
)
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')

# The smallest contrast of a text with the colour behind it, and which text that is.
CONTRAST = """
const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
function read(colour, under) {
  canvas.fillStyle = under;
  canvas.fillRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
function luminance(rgb) {
  const parts = rgb.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92
    : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
let worst = [99, ''];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
  if (node.closest('noscript, script, option')) continue;
  const behind = [];
  for (let box = node; box; box = box.parentElement) {
    behind.unshift(getComputedStyle(box).backgroundColor);
  }
  let ground = getComputedStyle(document.documentElement).getPropertyValue('--page');
  for (const colour of behind) ground = `rgb(${read(colour, ground).join(',')})`;
  const [low, high] = [read(ground, ground), read(getComputedStyle(node).color, ground)]
    .map(luminance).sort((a, b) => a - b);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < worst[0]) worst = [ratio, node.outerHTML.slice(0, 200)];
}
return worst;
"""
FOCUSED = """
const style = getComputedStyle(document.activeElement);
return [document.activeElement.id, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth)];
"""


class Browser:
    """A browser without a window."""

    def __init__(self, url, profile):
        self._url = url
        binary = next(filter(None, map(shutil.which, BROWSERS)))
        options = {'binary': binary, 'args': [*FLAGS, f'--user-data-dir={profile}']}
        logs = {'browser': 'ALL', 'performance': 'ALL'}
        wanted = {'goog:chromeOptions': options, 'goog:loggingPrefs': logs}
        answer = self._ask('POST', '/session', {'capabilities': {'alwaysMatch': wanted}})
        self._session = f'/session/{answer["sessionId"]}'

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)['value']
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)['value']['message']) from None

    def _post(self, path, **body):
        return self._ask('POST', self._session + path, body)

    def open(self, url):
        self._post('/url', url=url)

    def run(self, script, *arguments):
        """Run the body of a function in the page."""
        return self._post('/execute/sync', script=script, args=list(arguments))

    def find(self, selector):
        return self._post('/element', using='css selector', value=selector)[ELEMENT]

    def text(self, selector):
        """The text of an element as it is seen."""
        return self._ask('GET', f'{self._session}/element/{self.find(selector)}/text')

    def texts(self, selector):
        """The texts of all elements."""
        script = 'return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)'
        return self.run(script, selector)

    def click(self, selector):
        self._post(f'/element/{self.find(selector)}/click')

    def fill(self, selector, text):
        element = self.find(selector)
        self._post(f'/element/{element}/clear')
        self._post(f'/element/{element}/value', text=text)

    def press(self, *keys, held=()):
        """Press keys, by name or as characters, with others held."""
        rows = [{'type': 'keyDown', 'value': KEYS[key]} for key in held]
        for key in keys:
            for kind in ('keyDown', 'keyUp'):
                rows.append({'type': kind, 'value': KEYS.get(key, key)})
        rows += [{'type': 'keyUp', 'value': KEYS[key]} for key in held]
        self._post('/actions', actions=[{'type': 'key', 'id': 'keys', 'actions': rows}])

    def wait(self, script, *arguments):
        """Wait until a function's body returns something true, and return it."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            value = self.run(script, *arguments)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f'{script}: not within 30 s; the page: {self.text("body")}')

    def devtools(self, command, **parameters):
        return self._post('/goog/cdp/execute', cmd=command, params=parameters)

    def show_as(self, width=1280, scheme='light'):
        """Set the width of the window and the theme."""
        self.devtools(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        media = [{'name': 'prefers-color-scheme', 'value': scheme}]
        self.devtools('Emulation.setEmulatedMedia', features=media)

    def focused(self):
        """The id of the focused element, and the width of its outline."""
        return self.run(FOCUSED)

    def contrast(self):
        """The smallest contrast of a text with the colour behind it, and which text that is."""
        return self.run(CONTRAST)

    def picture(self):
        """The page as a PNG, all of it."""
        shot = self.devtools('Page.captureScreenshot', captureBeyondViewport=True)
        return base64.b64decode(shot['data'])

    def log(self, kind):
        """The new lines of a log, 'browser' or 'performance'."""
        return [row['message'] for row in self._post('/se/log', type=kind)]

    def requests(self):
        """The addresses that were asked since the last call."""
        rows = (json.loads(line)['message'] for line in self.log('performance'))
        sent = (row for row in rows if row['method'] == 'Network.requestWillBeSent')
        return [row['params']['request']['url'] for row in sent]

    def close(self):
        self._ask('DELETE', self._session)


@contextlib.contextmanager
def open_browser(folder):
    """Start a driver and a browser whose profile is in a folder."""
    driver = shutil.which('chromedriver')
    if driver is None or not any(map(shutil.which, BROWSERS)):
        pytest.skip('needs chromium and chromedriver')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([driver, f'--port={port}'], stdout=subprocess.DEVNULL)
    try:
        url = f'http://127.0.0.1:{port}'
        end = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f'{url}/status', timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end, 'chromedriver does not answer'
                time.sleep(0.05)
        browser = Browser(url, folder)
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.wait(30)
