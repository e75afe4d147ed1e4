"""Runtimes that only run networks, in benchmark.py: onnxruntime, OpenVINO, CTranslate2."""

from __future__ import annotations

import numpy as np

WHOLE_ROWS = str(2**64 - 1)  # a scale for each token if OpenVINO quantizes activations


def inputs_by_name(ids, types, lengths):
    """Name the inputs of the exported network."""
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    return {
        'ids': ids.astype('int64'),
        'types': types.astype('int64'),
        'mask': mask.astype('int64'),
    }


class OnnxRuntime:
    """onnxruntime's CPU provider, with all graph optimisations."""

    def __init__(self, folder, threads, file):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / file), options, providers=['CPUExecutionProvider']
        )

    def __call__(self, ids, types, lengths):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        inputs = inputs_by_name(ids, types, lengths)
        return tuple(self._session.run(['sequence', 'pooled'], inputs))


class OpenVino:
    """OpenVINO's CPU plugin, for one request at a time."""

    def __init__(self, folder, threads, file, hint):
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(
            str(folder / file),
            'CPU',
            {
                'INFERENCE_NUM_THREADS': threads,
                'PERFORMANCE_HINT': 'LATENCY',
                'NUM_STREAMS': 1,
                'INFERENCE_PRECISION_HINT': hint,
                'DYNAMIC_QUANTIZATION_GROUP_SIZE': WHOLE_ROWS,
            },
        )
        self._request = compiled.create_infer_request()

    def __call__(self, ids, types, lengths):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        inputs = inputs_by_name(ids, types, lengths)
        found = self._request.infer(inputs, share_inputs=True)
        return found['sequence'], found['pooled']


class CTranslate2:
    """CTranslate2's Encoder, which removes padding itself."""

    def __init__(self, folder, threads, compute_type):
        import ctranslate2

        self._view = ctranslate2.StorageView.from_array
        self._encoder = ctranslate2.Encoder(
            str(folder / 'ctranslate2'),
            device='cpu',
            compute_type=compute_type,
            inter_threads=1,
            intra_threads=threads,
        )
        if self._encoder.compute_type != compute_type:
            raise ValueError(
                f'{compute_type} is computed as {self._encoder.compute_type} on this processor'
            )

    def __call__(self, ids, types, lengths):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        found = self._encoder.forward_batch(
            self._view(ids.astype('int32')),
            self._view(lengths.astype('int32')),
            [row[:length].tolist() for row, length in zip(types, lengths)],
        )
        return np.array(found.last_hidden_state), np.array(found.pooler_output)
