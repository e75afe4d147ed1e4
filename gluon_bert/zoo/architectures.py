"""The architectures: name -> hyper-parameters, all but the vocabulary's size."""

ARCHITECTURES = {
    'bert_6_384_12': dict(
        units=384, hidden_size=1536, num_layers=6, num_heads=12, max_length=512,
        num_token_types=2, dropout=0.1, layer_norm_eps=1e-12, activation='gelu'),
    'bert_12_768_12': dict(
        units=768, hidden_size=3072, num_layers=12, num_heads=12, max_length=512,
        num_token_types=2, dropout=0.1, layer_norm_eps=1e-12, activation='gelu'),
    'bert_24_1024_16': dict(
        units=1024, hidden_size=4096, num_layers=24, num_heads=16, max_length=512,
        num_token_types=2, dropout=0.1, layer_norm_eps=1e-12, activation='gelu'),
}
