"""Make and read the records that a BERT is pre-trained on."""
