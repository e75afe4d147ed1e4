"""The networks: configuration and layers to BERT and its heads, and how they are built.

Read ``config.py``, ``layers.py`` and ``bert.py`` in this order.
"""
