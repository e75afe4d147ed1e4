"""Routes by the clients that ask them: one module a family."""

from . import attention, cohere, huggingface, kserve, openai, sagemaker, tei, tei_vectors

ENDPOINTS = (
    *tei_vectors.ENDPOINTS,
    *tei.ENDPOINTS,
    *attention.ENDPOINTS,
    *openai.ENDPOINTS,
    *cohere.ENDPOINTS,
    *huggingface.ENDPOINTS,
    *sagemaker.ENDPOINTS,
    *kserve.ENDPOINTS,
)
