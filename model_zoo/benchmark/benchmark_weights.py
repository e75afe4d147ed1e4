"""One network in the formats that the systems of benchmark.py read.

Each format is made once, in a separate process, from the folder that gluon_bert writes:

    python3 benchmark_weights.py onnx work/bert_6_384_12
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gluon_bert._internal.files import atomic_path

NETWORK = 'network.json'
CLASSES = 2
OPSET = 17


def describe(folder, model, dataset, seed, vocab_size, vocab_file=None):
    """Make the folder of a network with its description.

    Parameters
    ----------
    folder : Path
    model : str
        Architecture of the zoo.
    dataset : str or None
        Data set of the pre-training; None for random parameters.
    seed : int
    vocab_size : int
    vocab_file : Path, optional
        Vocabulary of the random network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        'model': model,
        'dataset': dataset,
        'seed': seed,
        'vocab_size': vocab_size,
        'vocab_file': vocab_file and str(Path(vocab_file).resolve()),
    }
    path = folder / NETWORK
    if not path.is_file():
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(described) + '\n', encoding='utf-8')
    elif json.loads(path.read_text(encoding='utf-8')) != described:
        raise ValueError(
            f'{folder}: holds another network than {described}; name another '
            f'--work_folder or remove it'
        )


def prepare(folder, forms):
    """Make the missing formats of a network.

    Parameters
    ----------
    folder : Path
        From :func:`describe`.
    forms : iterable of str
        Of ``FORMS``.

    Yields
    ------
    (str, str)
        A format and the end of its error messages, '' if there was no error.
    """
    failed = {}
    for form in dict.fromkeys(part for wanted in forms for part in _with_sources(wanted)):
        broken = [source for source in FORMS[form][1] if failed.get(source)]
        if broken:
            failed[form] = f'{broken[0]}: {failed[broken[0]]}'
        elif not (folder / FORMS[form][0]).exists():
            done = subprocess.run(
                [sys.executable, __file__, form, str(folder)],
                text=True,
                capture_output=True,
                check=False,
            )
            if done.returncode:
                failed[form] = (done.stderr.strip().splitlines() or ['no message'])[-1][:300]
        yield form, failed.get(form, '')


def _with_sources(form):
    return [*(part for source in FORMS[form][1] for part in _with_sources(source)), form]


def write_huggingface(folder, target):
    """Write the encoder for transformers."""
    import gluon_bert as gb

    network, tokenizer = _network(folder)
    gb.checkpoint.write_checkpoint(
        gb.checkpoint.Checkpoint(network.checkpoint_arrays(), network.config, tokenizer=tokenizer),
        target,
    )


def write_classifier(folder, target):
    """Write the encoder with a random head of two classes."""
    import numpy as np

    import gluon_bert as gb

    encoder = gb.checkpoint.read_checkpoint(folder / 'huggingface')
    arrays = {name: encoder.arrays[name] for name in encoder.arrays}
    draw, units = np.random.RandomState(_described(folder)['seed']), encoder.config.units
    arrays.update(
        {
            'classifier.1.weight': draw.normal(0, 0.02, (CLASSES, units)).astype('float32'),
            'classifier.1.bias': np.zeros(CLASSES, 'float32'),
        }
    )
    if 'pooler.weight' not in arrays:
        raise ValueError('the network has no pooler')
    gb.checkpoint.write_checkpoint(
        gb.checkpoint.Checkpoint(
            arrays, encoder.config, labels=('0', '1'), tokenizer=encoder.tokenizer
        ),
        target,
    )


def write_gluonnlp(folder, target, source='huggingface'):
    """Write GluonNLP's parameter file."""
    import gluon_bert as gb

    gb.checkpoint.write_checkpoint(gb.checkpoint.read_checkpoint(folder / source), target)


def write_onnx(folder, target):
    """Export transformers' network from PyTorch, with dynamic batch sizes."""
    import torch
    import transformers

    model = transformers.BertModel.from_pretrained(
        folder / 'huggingface', attn_implementation='eager'
    ).eval()

    class Positional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, types, mask):
            found = self.model(input_ids=ids, token_type_ids=types, attention_mask=mask)
            return found.last_hidden_state, found.pooler_output

    names, outputs = ['ids', 'types', 'mask'], ['sequence', 'pooled']
    open_sizes = {name: {0: 'batch', 1: 'length'} for name in [*names, 'sequence']}
    open_sizes['pooled'] = {0: 'batch'}
    example = tuple(torch.ones((2, 9), dtype=torch.int64) for _ in names)
    with torch.no_grad():
        torch.onnx.export(
            Positional().eval(),
            example,
            str(target),
            input_names=names,
            output_names=outputs,
            dynamic_axes=open_sizes,
            opset_version=OPSET,
            dynamo=False,
        )


def write_fused(folder, target):
    """Apply onnxruntime's optimisations for transformers."""
    from onnxruntime.transformers.optimizer import optimize_model

    config = _config(folder)
    model = optimize_model(
        str(folder / 'model.onnx'),
        model_type='bert',
        opt_level=1,
        num_heads=config['num_attention_heads'],
        hidden_size=config['hidden_size'],
    )
    fused = model.get_fused_operator_statistics()
    if not fused.get('Attention'):
        raise ValueError(f'onnxruntime fused no attention: {fused}')
    model.save_model_to_file(str(target))


def write_dynamic_int8(folder, target):
    """Quantize the optimised network to int8 weights, with dynamic activations."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It cannot infer the types after the fused operators.
    quantize_dynamic(
        folder / 'fused.onnx',
        target,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=_may_saturate(),
        extra_options={'DefaultTensorType': onnx.TensorProto.FLOAT},
    )


def write_openvino_int8(folder, target):
    """Write OpenVINO's format, with dense weights in int8 and a scale for each row.

    On processors with VNNI, its CPU plugin then quantizes activations dynamically; on others it
    computes in float32 with these weights.
    """
    import numpy as np
    import openvino
    from openvino import opset13 as operators

    model = openvino.Core().read_model(str(folder / 'model.onnx'))
    for node in model.get_ordered_ops():
        weights = node.input_value(1).get_node() if node.get_type_name() == 'MatMul' else None
        if weights is None or weights.get_type_name() != 'Constant':
            continue
        is_turned = node.get_attributes()['transpose_b']
        rows = weights.data if is_turned else weights.data.T  # (out, in)
        scales = np.maximum(abs(rows).max(axis=1, keepdims=True), 1e-12) / 127
        whole = operators.constant(np.round(rows / scales).astype('int8'))
        product = operators.matmul(
            node.input_value(0),
            operators.multiply(operators.convert(whole, 'f32'), operators.constant(scales)),
            False,
            True,
        )
        node.output(0).replace(product.output(0))
    target.mkdir()
    openvino.save_model(model, str(target / 'model.xml'), compress_to_fp16=False)


def write_ctranslate2(folder, target):
    """Write CTranslate2's format, in float32; it quantizes when loading."""
    import gluon_bert as gb
    from gluon_bert.export import ctranslate2

    ctranslate2.write_ctranslate2(gb.checkpoint.read_checkpoint(folder / 'huggingface'), target)


# Format -> its file or folder, the formats it is made from, its function.
FORMS = {
    'huggingface': ('huggingface', (), write_huggingface),
    'classifier': ('classifier', ('huggingface',), write_classifier),
    'gluonnlp': ('gluonnlp.params', ('huggingface',), write_gluonnlp),
    'gluonnlp_classifier': (
        'gluonnlp_classifier.params',
        ('classifier',),
        lambda folder, target: write_gluonnlp(folder, target, 'classifier'),
    ),
    'onnx': ('model.onnx', ('huggingface',), write_onnx),
    'onnx_fused': ('fused.onnx', ('onnx',), write_fused),
    'onnx_int8': ('dynamic_int8.onnx', ('onnx_fused',), write_dynamic_int8),
    'openvino_int8': ('openvino_int8', ('onnx',), write_openvino_int8),
    'ctranslate2': ('ctranslate2', ('huggingface',), write_ctranslate2),
}


def _network(folder):
    """Load the network of a folder, and its tokenizer or None."""
    import gluon_bert as gb

    described = _described(folder)
    if described['dataset']:
        names = described['model'], described['dataset']
        return gb.get_model(*names)[0], gb.get_tokenizer(*names)
    if described['vocab_file']:
        vocab = gb.data.read_vocab(described['vocab_file'])
        tokenizer = gb.data.BertTokenizer(vocab, lower=gb.data.looks_lowercase(vocab))
    else:
        try:
            tokenizer = gb.get_tokenizer(*gb.zoo.OFFLINE_DEFAULT)
        except FileNotFoundError:  # only texts need a tokenizer
            tokenizer = None
    network = gb.BertModel(gb.zoo.get_config(described['model'], described['vocab_size']))
    network.initialize()
    return _with_random_numbers(network, described['seed']), tokenizer


def _with_random_numbers(network, seed):
    """Initialise with non-trivial biases and norms, so that errors show."""
    import mxnet as mx
    import numpy as np

    draw = np.random.RandomState(seed)
    for name, parameter in sorted(network._collect_params_with_prefix().items()):
        centre, width = (1, 0.1) if name.endswith('gamma') else (0, 0.02)
        parameter.set_data(mx.nd.array(draw.normal(centre, width, parameter.shape)))
    return network


def _described(folder):
    return json.loads((folder / NETWORK).read_text(encoding='utf-8'))


def _config(folder):
    return json.loads((folder / 'huggingface' / 'config.json').read_text(encoding='utf-8'))


def _may_saturate():
    """Tell if int8 products are summed in 16 bits (no VNNI): onnxruntime needs 7-bit weights."""
    from benchmark_machine import processor

    return not {'avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'} & processor()[1]


def main(argv=None):
    form, folder = sys.argv[1:] if argv is None else argv
    folder, (name, _, write) = Path(folder), FORMS[form]
    with tempfile.TemporaryDirectory(dir=folder, prefix='.making_') as temporary:
        write(folder, Path(temporary) / name)
        os.replace(Path(temporary) / name, folder / name)


if __name__ == '__main__':
    main()
