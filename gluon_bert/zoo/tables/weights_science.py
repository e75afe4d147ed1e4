"""Models of science and medicine: (architecture, data set) -> row."""

from ..schema import GluonFile, HubFile, Weights

_HEADS = ('pooler', 'next_sentence', 'masked_lm')
_SCIBERT = 'https://github.com/allenai/scibert'
_BELTAGY = 'Beltagy, Lo and Cohan (2019), SciBERT: A Pretrained Language Model for Scientific Text'
_BIOBERT = 'https://github.com/naver/biobert-pretrained'
_LEE = (
    'Lee et al. (2019), BioBERT: a pre-trained biomedical language representation model for '
    'biomedical text mining'
)
_CLINICAL = 'https://github.com/kexinhuang12345/clinicalBERT'
_HUANG = (
    'Huang, Altosaar and Ranganath (2019), ClinicalBERT: Modeling Clinical Notes and '
    'Predicting Hospital Readmission'
)

WEIGHTS = {
    ('bert_12_768_12', 'scibert_scivocab_uncased'): Weights(
        num_params=109918464,
        heads=_HEADS,
        description='Full texts of 1.14 million scientific papers, lower-cased, with a vocabulary '
        'of its own: the one its authors advise.',
        licence='not stated',
        source=_SCIBERT,
        citation=_BELTAGY,
        sources=(
            HubFile('allenai/scibert_scivocab_uncased', 'pytorch_model.bin'),
            GluonFile(
                'bert_12_768_12_scibert_scivocab_uncased',
                '6c82d963fc8fa79c35dd6cb3e1725d1e5b6aa7d7',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'scibert_scivocab_cased'): Weights(
        num_params=109938432,
        heads=_HEADS,
        description='Full texts of 1.14 million scientific papers, case and accents kept, with a '
        'vocabulary of its own.',
        licence='not stated',
        source=_SCIBERT,
        citation=_BELTAGY,
        sources=(
            HubFile('allenai/scibert_scivocab_cased', 'pytorch_model.bin'),
            GluonFile(
                'bert_12_768_12_scibert_scivocab_cased',
                'adf9c81e72ac286a37b9002da8df9e50a753d98b',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'scibert_basevocab_uncased'): Weights(
        num_params=109482240,
        heads=_HEADS,
        description='Full texts of 1.14 million scientific papers, lower-cased, with the '
        "vocabulary of Google's English model. The hub's copy is a re-release by "
        'another.',
        licence='not stated',
        source=_SCIBERT,
        citation=_BELTAGY,
        sources=(
            HubFile('nfliu/scibert_basevocab_uncased', 'pytorch_model.bin'),
            GluonFile(
                'bert_12_768_12_scibert_basevocab_uncased',
                '75acea8e8386890120533d6c0032b0b3fcb2d536',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'scibert_basevocab_cased'): Weights(
        num_params=108310272,
        heads=_HEADS,
        description='Full texts of 1.14 million scientific papers, case and accents kept, with '
        "the vocabulary of Google's English model.",
        licence='not stated',
        source=_SCIBERT,
        citation=_BELTAGY,
        sources=(
            GluonFile(
                'bert_12_768_12_scibert_basevocab_cased',
                '8e86e5de55d6dae99123312cd8cdd8183a75e057',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'biobert_v1.0_pmc_cased'): Weights(
        num_params=108310272,
        heads=('pooler',),
        description="Google's cased English model trained on with full texts of PubMed Central: "
        'biomedical text.',
        licence='Apache-2.0',
        source=_BIOBERT,
        citation=_LEE,
        sources=(
            GluonFile(
                'bert_12_768_12_biobert_v1.0_pmc_cased',
                'a07780385add682f609772e81ec64aca77c9fb05',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'biobert_v1.0_pubmed_cased'): Weights(
        num_params=108310272,
        heads=('pooler',),
        description="Google's cased English model trained on with abstracts of PubMed: biomedical "
        'text.',
        licence='Apache-2.0',
        source=_BIOBERT,
        citation=_LEE,
        sources=(
            GluonFile(
                'bert_12_768_12_biobert_v1.0_pubmed_cased',
                '280ad1cc487db90489f86189e045e915b35e7489',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'biobert_v1.0_pubmed_pmc_cased'): Weights(
        num_params=108310272,
        heads=('pooler',),
        description="Google's cased English model trained on with abstracts of PubMed and full "
        "texts of PubMed Central: biomedical text. The hub's copy is a re-release by "
        'another.',
        licence='Apache-2.0',
        source=_BIOBERT,
        citation=_LEE,
        sources=(
            HubFile('monologg/biobert_v1.0_pubmed_pmc', 'pytorch_model.bin'),
            GluonFile(
                'bert_12_768_12_biobert_v1.0_pubmed_pmc_cased',
                '8a8c75441f028a6b928b11466f3d30f4360dfff5',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'biobert_v1.1_pubmed_cased'): Weights(
        num_params=108310272,
        heads=('pooler',),
        description="Google's cased English model trained on with abstracts of PubMed, five times "
        'as long as version 1.0: the one its authors advise.',
        licence='Apache-2.0',
        source=_BIOBERT,
        citation=_LEE,
        sources=(
            HubFile('dmis-lab/biobert-v1.1', 'pytorch_model.bin'),
            GluonFile(
                'bert_12_768_12_biobert_v1.1_pubmed_cased',
                '55f15c5d23829f6ee87622b68711b15fef50e55b',
                '.params',
            ),
        ),
    ),
    ('bert_12_768_12', 'clinicalbert_uncased'): Weights(
        num_params=109482240,
        heads=('pooler', 'next_sentence'),
        description='Clinical notes of MIMIC-III, lower-cased: hospital text.',
        licence='not stated',
        source=_CLINICAL,
        citation=_HUANG,
        sources=(
            GluonFile(
                'bert_12_768_12_clinicalbert_uncased',
                '60281c98ba3572dfdaac75131fa96e2136d70d5c',
                '.params',
            ),
        ),
    ),
}
