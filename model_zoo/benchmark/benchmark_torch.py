"""PyTorch with transformers in benchmark.py."""

from __future__ import annotations

import contextlib
import importlib
import warnings

import numpy as np
import torch
import transformers

MOST_SHAPES = 32  # that have code of their own


def tensors(ids, types, lengths):
    """Convert arrays to transformers' keyword arguments."""
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    return {
        'input_ids': torch.from_numpy(ids.astype('int64')),
        'token_type_ids': torch.from_numpy(types.astype('int64')),
        'attention_mask': torch.from_numpy(mask.astype('int64')),
    }


def precision(autocast):
    """Make the context of a forward pass."""
    return torch.autocast('cpu', torch.bfloat16) if autocast else contextlib.nullcontext()


class Compiled:
    """A network compiled by torch.compile: for each shape alone, as is fastest.

    After ``MOST_SHAPES``, such as those of ragged batches, others run in code for any shape.
    """

    def __init__(self, network, backend='inductor'):
        torch._dynamo.config.recompile_limit = 2 * MOST_SHAPES
        self._of_one_shape = torch.compile(network, backend=backend, dynamic=False)
        self._of_any_shape = torch.compile(network, backend=backend, dynamic=True)
        self._shapes = set()

    def __call__(self, **tensors):
        shape = tuple(tensors['input_ids'].shape)
        if len(self._shapes) < MOST_SHAPES:
            self._shapes.add(shape)
        return (self._of_one_shape if shape in self._shapes else self._of_any_shape)(**tensors)


class Encoder:
    """transformers.BertModel.

    quantized: dense layers in dynamic int8. backend: of torch.compile, with frozen weights.
    """

    def __init__(
        self, folder, threads, attention='sdpa', autocast=False, quantized=False, backend=None
    ):
        torch.set_num_threads(threads)
        self._autocast = autocast
        self._network = transformers.BertModel.from_pretrained(
            folder / 'huggingface', attn_implementation=attention
        ).eval()
        if quantized:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # it will move to a separate package
                from torch.ao import quantization

                self._network = quantization.quantize_dynamic(
                    self._network, {torch.nn.Linear: quantization.per_channel_dynamic_qconfig}
                )
        if backend:
            importlib.import_module(backend if backend != 'inductor' else 'torch')
            torch._inductor.config.freezing = True
            self._network = Compiled(self._network, backend)

    def __call__(self, ids, types, lengths):
        """Compute encodings (N, T, C) and pooled (N, C) from ids, types (N, T) and lengths (N,)."""
        with torch.inference_mode(), precision(self._autocast):
            outputs = self._network(**tensors(ids, types, lengths))
            return tuple(
                output.float().numpy()
                for output in (outputs.last_hidden_state, outputs.pooler_output)
            )


class Trainer:
    """A training step: cross entropy, clipping, fused AdamW."""

    def __init__(self, folder, threads, autocast=False, compiled=False):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        self._autocast = autocast
        self._network = transformers.BertForSequenceClassification.from_pretrained(
            folder / 'classifier'
        )
        groups = {True: [], False: []}
        for name, parameter in self._network.named_parameters():
            groups['bias' not in name and 'LayerNorm' not in name].append(parameter)
        self._optimizer = torch.optim.AdamW(
            [
                {'params': groups[True], 'weight_decay': 0.01},
                {'params': groups[False], 'weight_decay': 0.0},
            ],
            lr=5e-5,
            eps=1e-6,
            fused=True,
        )
        self._call = Compiled(self._network) if compiled else self._network

    def _backward(self, ids, types, lengths, labels):
        with precision(self._autocast):
            scores = self._call(**tensors(ids, types, lengths)).logits
            loss = torch.nn.functional.cross_entropy(
                scores.float(), torch.from_numpy(labels.astype('int64'))
            )
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        return scores, loss, norm

    def check(self, *arrays):
        """Compute scores, loss and the norm of the gradients, without dropout."""
        self._network.eval()
        scores, loss, norm = self._backward(*arrays)
        self._optimizer.zero_grad()
        return np.concatenate([scores.detach().float().numpy().ravel(), [loss.item(), norm.item()]])

    def step(self, *arrays):
        """Run a step on ids, types (N, T), lengths and labels (N,)."""
        self._network.train()
        _, loss, _ = self._backward(*arrays)
        self._optimizer.step()
        self._optimizer.zero_grad()
        loss.item()
