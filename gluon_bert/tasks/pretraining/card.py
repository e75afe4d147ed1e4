"""The README.md of a pre-trained model: a model card as the Hugging Face hub has it."""

from __future__ import annotations

from pathlib import Path

from ..._internal.files import portable_path, write_text
from ...training import FitResult
from ..model_card import CARD_FILE
from .network import PretrainingModel
from .objectives import PRETRAINING_OBJECTIVES


def write_card(folder: Path, model: PretrainingModel, objective: str, result: FitResult) -> None:
    """Write README.md into the folder of a model; whole or not at all.

    Parameters
    ----------
    folder : Path
    model : PretrainingModel
    objective : str
        Of ``PRETRAINING_OBJECTIVES``.
    result : FitResult
    """
    config, row = model.config, PRETRAINING_OBJECTIVES[objective]
    tag = '' if row.replaces else 'pipeline_tag: fill-mask\n'
    base = portable_path(model.base) if model.base else 'random parameters'
    casing = ', lower-cased text' if model.tokenizer.lower else ''
    lines = [
        f'---\nlibrary_name: transformers\n{tag}tags:\n- gluon_bert\n---',
        '# A pre-trained BERT',
        f'* Learned from: {row.title}\n'
        f'* Started from: {base}\n'
        f'* Steps: {result.steps}\n'
        f'* Layers, units, heads: {config.num_layers}, {config.units}, {config.num_heads}\n'
        f'* Vocabulary: {config.vocab_size} tokens{casing}',
    ]
    if result.best_metrics:
        rows = [f'| {name} | {value:.4f} |' for name, value in result.best_metrics.items()]
        lines.append('\n'.join(['## Evaluation', '', '| metric | value |', '|---|---|', *rows]))
    lines.append(
        '## Use\n\n```python\nimport gluon_bert\n\n'
        f"network, tokenizer = gluon_bert.load_model('{folder.name}')\n```\n\n"
        f'```sh\ngluon-bert train TASK --model {folder.name}\n```'
    )
    write_text(folder / CARD_FILE, '\n\n'.join(lines) + '\n')
