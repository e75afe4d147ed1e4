"""Several processes at once, and the Hugging Face hub: its client reads its settings on import."""

# ruff: noqa: F811 (fixtures are imported)
import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from zoo_server import COMMIT, KEY, WORDS, WORDS_SHA256, root, running, server  # noqa: F401 (fixtures)

DATA = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
CHECKPOINT = {'bert_model.ckpt.index': b'index', 'bert_model.ckpt.data-00000-of-00001': DATA}


RUN = """
import sys
from gluon_bert.zoo.fetch import cache, errors as failures, hub, store
from gluon_bert.zoo.schema import *
cache.WAIT, failures.BACK_OFF = 0.2, 0.01
url, root = sys.argv[1:]
def weights(*files):
    return Weights(1, (), '', '', '', '', files)
def fetch(*files, key=('bert_2_24_3', 'tiny_cased')):
    found = store.fetch_weights(*key, weights(*files), root=root)
    print(found.kind, *found.paths)
"""
ONE = "fetch(ZipArchive(url + 'tiny.zip'))"


@pytest.fixture
def process(server, root, tmp_path):
    """Start another Python that fetches; its standard error goes to a common file."""
    running = []

    def start(script, **variables):
        environment = {
            **os.environ,
            'HF_ENDPOINT': server.url.rstrip('/'),
            'HF_HOME': str(tmp_path / 'hf'),
            'HF_HUB_DISABLE_TELEMETRY': '1',
            'HF_HUB_DISABLE_XET': '1',
            **variables,
        }
        with open(tmp_path / 'stderr', 'a') as stderr:
            running.append(
                subprocess.Popen(
                    [sys.executable, '-c', RUN + script, server.url, str(root)],
                    text=True,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    cwd=Path(__file__).parents[2],
                )
            )
        return running[-1]

    yield start
    for child in running:
        child.kill()
        child.communicate()


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail('waited for half a minute')


def test_two_processes_fetch_once(process, server, root, tmp_path):
    server.put_zip('tiny.zip', CHECKPOINT)
    server.fail('tiny.zip', 'hold')
    children = [process(ONE), process(ONE)]
    wait_for(lambda: 'another process' in (tmp_path / 'stderr').read_text())
    server.gate.set()
    outputs = [child.communicate(timeout=60)[0] for child in children]
    assert outputs == [f'tensorflow {root / KEY}\n'] * 2
    assert server.asked() == ['tiny.zip']


def test_what_a_killed_process_leaves_is_no_hindrance(process, server, root):
    server.put_zip('tiny.zip', CHECKPOINT)
    server.fail('tiny.zip', 'hold')
    child = process(ONE)
    wait_for(lambda: server.requests)
    child.kill()
    child.wait()
    assert (root / '.downloads' / KEY).is_dir()
    assert process(ONE).communicate(timeout=60)[0] == f'tensorflow {root / KEY}\n'
    assert sorted(os.listdir(root)) == ['.downloads', '.locks', KEY]
    assert os.listdir(root / '.downloads') == []


HUB = f"""
import os
import random
from pathlib import Path
large = HubFile('o/tiny', 'model.safetensors')
fetch(large)
path, = Path(root).rglob('model.safetensors')
print(os.stat(path).st_nlink)
fetch(HubFile('o/tiny', 'model.safetensors', {'1' * 64!r}), ZipArchive(url + 'tiny.zip'),
      key=('bert_2_24_3', 'other'))
row = VocabularyRow('wordpiece', 6, False, True, (HubFile('o/tiny', 'vocab.txt'),),
                    {WORDS_SHA256!r})
print(*store.fetch_vocabulary('words', row, root=root).paths)
row = VocabularyRow('byte_pair', 6, False, True, ((HubFile('o/tiny', 'vocab.json'),
                                                HubFile('o/tiny', 'merges.txt')),))
print(*store.fetch_vocabulary('pairs', row, root=root, progress=False).paths)
for file in (HubFile('o/absent', 'model.safetensors'), HubFile('o/tiny', 'pytorch_model.bin'),
             HubFile('o/closed', 'a.bin'), HubFile('o/wrong', 'model.safetensors'),
             HubFile('o/tiny', 'model.safetensors', size=7)):
    try:
        fetch(file, key=('bert_2_24_3', 'none'))
    except FileNotFoundError as error:
        print(str(error).splitlines()[2].split(': ', 1)[1])
folder = hub.fetch_folder('o/tiny')
print(*sorted(path.name for path in folder.iterdir()))
try:
    hub.fetch_folder('o/absent')
except FileNotFoundError as error:
    print(str(error).replace(chr(10), ' '))
"""


@pytest.fixture
def hub(server):
    for name, data in (
        ('model.safetensors', DATA),
        ('vocab.txt', WORDS),
        ('vocab.json', b'{}'),
        ('merges.txt', b'a b'),
        ('config.json', b'{}'),
    ):
        server.put_hub('o/tiny', name, data, large=name == 'model.safetensors')
    return server


def test_the_hub_is_asked_through_its_own_client(process, hub, root):
    hub.put_zip('tiny.zip', CHECKPOINT)
    wrong = random.Random(2).randbytes(1000)
    hub.put_hub('o/wrong', 'model.safetensors', wrong)
    wrong = hashlib.sha256(wrong).hexdigest()
    hub.fail(f'cdn/{wrong}', lasting='wrong')
    hub.fail('o/closed/resolve/main/a.bin', lasting=401)
    hub.fail('o/tiny/resolve/main/model.safetensors', 503)
    output = process(HUB, HF_HUB_OFFLINE='0').communicate(timeout=120)[0].splitlines()
    assert output[:6] == [
        f'safetensors {root / KEY / "model.safetensors"}',
        '2',  # linked into the root
        f'tensorflow {root / "bert_2_24_3_other"}',
        str(root / 'words' / 'vocab.txt'),
        f'{root / "pairs" / "vocab.json"} {root / "pairs" / "merges.txt"}',
        'HTTP 404',
    ]
    assert output[6:8] == ['HTTP 404', 'HTTP 401, no such repository or a private one (HF_TOKEN)']
    assert output[8].endswith(f'the published file has {wrong}')
    assert output[9] == 'the file there now has 300000 bytes, the published file 7'
    assert output[10] == 'config.json merges.txt model.safetensors vocab.json vocab.txt'
    assert output[11].endswith('no checkpoint could be fetched   - config.json: HTTP 404')
    assert hub.sent(f'cdn/{SHA256}') == [len(DATA)]
    assert hub.sent(f'cdn/{wrong}') == [1000, 1000]
    assert (root / KEY / 'model.safetensors').read_bytes() == DATA


CACHED = f"""
fetch(HubFile('o/tiny', 'model.safetensors'))
fetch(HubFile('o/tiny', 'model.safetensors', {SHA256!r}), key=('bert_2_24_3', 'known'))
fetch(HubFile('o/tiny', 'model.safetensors', revision={COMMIT!r}), key=('bert_2_24_3', 'fixed'))
print(hub.fetch_folder('o/tiny').name)
try:
    fetch(HubFile('o/tiny', 'other.bin'), key=('bert_2_24_3', 'none'))
except FileNotFoundError as error:
    print(str(error).splitlines()[2].split(': ', 1)[1])
"""


@pytest.mark.parametrize(
    'variables, reason',
    [
        (dict(HF_HUB_OFFLINE='1'), 'offline (HF_HUB_OFFLINE), and not in'),
        (
            dict(HF_HUB_OFFLINE='0', HF_ENDPOINT='http://127.0.0.1:9'),
            '[Errno 111] Connection refused',
        ),
    ],
    ids=['offline', 'unreachable'],
)
def test_the_cache_of_the_hub_s_client_is_used(process, hub, root, tmp_path, variables, reason):
    first = process("hub.fetch_folder('o/tiny')", HF_HUB_OFFLINE='0')
    first.communicate(timeout=60)
    assert first.returncode == 0
    hub.requests.clear()
    output = process(CACHED, **variables).communicate(timeout=60)[0].splitlines()
    assert output[:4] == [
        *(
            f'safetensors {root / ("bert_2_24_3_" + name)}/model.safetensors'
            for name in ('tiny_cased', 'known', 'fixed')
        ),
        COMMIT,
    ]
    assert output[4].startswith(reason)
    assert hub.requests == []
    # A damaged file there is not taken.
    (blob,) = (tmp_path / 'hf').rglob(f'*/blobs/{SHA256}')
    blob.unlink()
    blob.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    output = process(
        "fetch(HubFile('o/tiny', 'model.safetensors'), key=('bert_2_24_3', 'x'))", **variables
    ).communicate(timeout=60)[0]
    assert output == ''
    assert f'the published file has {SHA256}' in (tmp_path / 'stderr').read_text()
