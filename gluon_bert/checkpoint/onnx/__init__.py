"""ONNX files of a BERT, which are read by the order and the wiring of their graph."""
