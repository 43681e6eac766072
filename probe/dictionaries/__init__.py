"""Dictionaries: sparse autoencoders, transcoders and skip transcoders, by parts."""

from probe.dictionaries.affine import AffineMap
from probe.dictionaries.base import SAE, CodeOutput, Dictionary, DictionaryOutput, Transcoder
from probe.dictionaries.codes import Code, DenseCode, SparseCode
from probe.dictionaries.sparsifiers import SPARSIFIERS, ReLU, Sparsifier, TopK, sparsifier
from probe.dictionaries.standardise import Standardiser
from probe.dictionaries.store import load_dictionary, save_dictionary

__all__ = [
    "SAE",
    "SPARSIFIERS",
    "AffineMap",
    "Code",
    "CodeOutput",
    "DenseCode",
    "Dictionary",
    "DictionaryOutput",
    "ReLU",
    "SparseCode",
    "Sparsifier",
    "Standardiser",
    "TopK",
    "Transcoder",
    "load_dictionary",
    "save_dictionary",
    "sparsifier",
]
