"""The architectures: name -> hyper-parameters, all but the vocabulary's size.

A name holds the family, the layers, the units and the heads.
"""

_BERT = dict(
    max_length=512,
    num_token_types=2,
    dropout=0.1,
    layer_norm_eps=1e-12,
    activation='gelu',
    pooler_activation='tanh',
)
_ROBERTA = dict(
    max_length=512,
    num_token_types=0,
    dropout=0.1,
    layer_norm_eps=1e-5,
    activation='gelu',
    pooler_activation='tanh',
)

ARCHITECTURES = {
    'bert_2_128_2': dict(units=128, hidden_size=512, num_layers=2, num_heads=2, **_BERT),
    'bert_2_256_4': dict(units=256, hidden_size=1024, num_layers=2, num_heads=4, **_BERT),
    'bert_2_512_8': dict(units=512, hidden_size=2048, num_layers=2, num_heads=8, **_BERT),
    'bert_2_768_12': dict(units=768, hidden_size=3072, num_layers=2, num_heads=12, **_BERT),
    'bert_4_128_2': dict(units=128, hidden_size=512, num_layers=4, num_heads=2, **_BERT),
    'bert_4_256_4': dict(units=256, hidden_size=1024, num_layers=4, num_heads=4, **_BERT),
    'bert_4_512_8': dict(units=512, hidden_size=2048, num_layers=4, num_heads=8, **_BERT),
    'bert_4_768_12': dict(units=768, hidden_size=3072, num_layers=4, num_heads=12, **_BERT),
    'bert_6_128_2': dict(units=128, hidden_size=512, num_layers=6, num_heads=2, **_BERT),
    'bert_6_256_4': dict(units=256, hidden_size=1024, num_layers=6, num_heads=4, **_BERT),
    'bert_6_512_8': dict(units=512, hidden_size=2048, num_layers=6, num_heads=8, **_BERT),
    'bert_6_768_12': dict(units=768, hidden_size=3072, num_layers=6, num_heads=12, **_BERT),
    'bert_8_128_2': dict(units=128, hidden_size=512, num_layers=8, num_heads=2, **_BERT),
    'bert_8_256_4': dict(units=256, hidden_size=1024, num_layers=8, num_heads=4, **_BERT),
    'bert_8_512_8': dict(units=512, hidden_size=2048, num_layers=8, num_heads=8, **_BERT),
    'bert_8_768_12': dict(units=768, hidden_size=3072, num_layers=8, num_heads=12, **_BERT),
    'bert_10_128_2': dict(units=128, hidden_size=512, num_layers=10, num_heads=2, **_BERT),
    'bert_10_256_4': dict(units=256, hidden_size=1024, num_layers=10, num_heads=4, **_BERT),
    'bert_10_512_8': dict(units=512, hidden_size=2048, num_layers=10, num_heads=8, **_BERT),
    'bert_10_768_12': dict(units=768, hidden_size=3072, num_layers=10, num_heads=12, **_BERT),
    'bert_12_128_2': dict(units=128, hidden_size=512, num_layers=12, num_heads=2, **_BERT),
    'bert_12_256_4': dict(units=256, hidden_size=1024, num_layers=12, num_heads=4, **_BERT),
    'bert_12_512_8': dict(units=512, hidden_size=2048, num_layers=12, num_heads=8, **_BERT),
    'bert_12_768_12': dict(units=768, hidden_size=3072, num_layers=12, num_heads=12, **_BERT),
    'bert_24_1024_16': dict(units=1024, hidden_size=4096, num_layers=24, num_heads=16, **_BERT),
    'bert_3_384_12': dict(units=384, hidden_size=1536, num_layers=3, num_heads=12, **_BERT),
    'bert_6_384_12': dict(units=384, hidden_size=1536, num_layers=6, num_heads=12, **_BERT),
    'distilbert_6_768_12': dict(
        units=768,
        hidden_size=3072,
        num_layers=6,
        num_heads=12,
        max_length=512,
        num_token_types=0,
        dropout=0.1,
        layer_norm_eps=1e-12,
        activation='gelu',
        pooler_activation='relu',
    ),
    'ernie_12_768_12': dict(
        units=768,
        hidden_size=3072,
        num_layers=12,
        num_heads=12,
        max_length=513,
        num_token_types=2,
        dropout=0.1,
        layer_norm_eps=1e-5,
        activation='relu',
        pooler_activation='tanh',
    ),
    'roberta_12_768_12': dict(units=768, hidden_size=3072, num_layers=12, num_heads=12, **_ROBERTA),
    'roberta_24_1024_16': dict(
        units=1024, hidden_size=4096, num_layers=24, num_heads=16, **_ROBERTA
    ),
}

# How the formats name its arrays and how a pair of texts is put together; 'bert' for all others.
FAMILIES = {
    'distilbert_6_768_12': 'distilbert',
    'ernie_12_768_12': 'ernie',
    'roberta_12_768_12': 'roberta',
    'roberta_24_1024_16': 'roberta',
}
