"""Dictionaries: sparse autoencoders, transcoders, skip and cross-layer transcoders, and crosscoders, by parts."""

from probe.dictionaries.affine import AffineMap
from probe.dictionaries.base import SAE, CodeOutput, Crosscoder, Dictionary, DictionaryOutput, Transcoder
from probe.dictionaries.cross_layer import CrossLayerTranscoder
from probe.dictionaries.sparsifiers.base import ReLU, Sparsifier, TopK
from probe.dictionaries.sparsifiers.batchtopk import BatchTopK
from probe.dictionaries.sparsifiers.codes import Code, DenseCode, Entries, SparseCode
from probe.dictionaries.sparsifiers.gated import Gated
from probe.dictionaries.sparsifiers.jumprelu import JumpReLU
from probe.dictionaries.sparsifiers.matryoshka import Matryoshka
from probe.dictionaries.sparsifiers.registry import SPARSIFIERS, sparsifier
from probe.dictionaries.standardise import Standardiser
from probe.dictionaries.store import load_dictionary, save_dictionary

__all__ = [
    "SAE",
    "SPARSIFIERS",
    "AffineMap",
    "BatchTopK",
    "Code",
    "CodeOutput",
    "CrossLayerTranscoder",
    "Crosscoder",
    "DenseCode",
    "Dictionary",
    "DictionaryOutput",
    "Entries",
    "Gated",
    "JumpReLU",
    "Matryoshka",
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
