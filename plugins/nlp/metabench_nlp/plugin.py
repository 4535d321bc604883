"""Text for metabench: what this distribution adds, described without importing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from metabench.hookspecs import EncoderInfo, ReaderInfo, TaskSourceInfo, hookimpl
from metabench_nlp import files, files_by_hand

_EVERY_SUITE = ("quick", "standard", "full")
_ANSWERS = {"shots": [10, 30], "query": "rest", "support": "stratified"}
"""A support of 30 touches five or six questions, so most of a topic's fifteen stay in the query."""


@hookimpl
def metabench_task_sources() -> Iterator[TaskSourceInfo]:
    """Yield the text sources."""
    yield TaskSourceInfo(
        name="intents",
        summary="70 intents in 10 domains, written for metabench; test domains held out",
        target="metabench_nlp.sources.intents:intents",
        domain="nlp",
        modality="text",
        citation="written by the metabench developers for this benchmark",
        licence="Apache-2.0",
        suites={"quick": {}},
    )
    yield TaskSourceInfo(
        name="clinc150",
        summary="150 intents in 10 domains; test domains held out",
        target="metabench_nlp.sources.clinc150:clinc150",
        domain="nlp",
        modality="text",
        citation="Larson et al. (2019), EMNLP-IJCNLP; split by domain: ours",
        licence="CC-BY-3.0",
        files=(files.CLINC_DATA, files.CLINC_DOMAINS),
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="banking77",
        summary="77 fine-grained banking intents; 27 test intents held out",
        target="metabench_nlp.sources.banking77:banking77",
        domain="nlp",
        modality="text",
        citation="Casanueva et al. (2020), NLP4ConvAI; split by intent: ours",
        licence="CC-BY-4.0",
        files=(files.BANKING_TRAIN, files.BANKING_TEST),
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="fewrel",
        summary="relations between marked entities in Wikipedia; partial training relations",
        target="metabench_nlp.sources.fewrel:fewrel",
        domain="nlp",
        modality="text",
        citation="Han et al. (2018), EMNLP; train/val relations: ours",
        licence="MIT",
        files=(files.FEWREL_TRAIN, files.FEWREL_WIKI),
        protocol={"group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="fewrel-pubmed",
        summary="FewRel trained on Wikipedia and tested on biomedical text (domain shift)",
        target="metabench_nlp.sources.fewrel:fewrel",
        domain="nlp",
        modality="text",
        citation="Gao et al. (2019), EMNLP; train/val relations: ours",
        licence="MIT",
        options={"test": "pubmed"},
        files=(files.FEWREL_TRAIN, files.FEWREL_PUBMED),
        protocol={"group_disjoint": True},
        suites={"standard": {}, "full": {}},
    )
    yield TaskSourceInfo(
        name="answer-selection",
        summary="does the sentence answer the question? 24 topics, written for metabench",
        target="metabench_nlp.sources.answer_selection:answer_selection",
        domain="nlp",
        modality="text-pair",
        task_kind="binary",
        metric="average-precision",
        other_metrics=("mrr", "auroc"),
        citation="written by the metabench developers for this benchmark",
        licence="Apache-2.0",
        protocol={"group_disjoint": True},
        suites={suite: {**_ANSWERS, "draws": 10} for suite in _EVERY_SUITE},
    )
    yield TaskSourceInfo(
        name="wikiqa",
        summary="does the sentence answer the search query? tasks are kinds of question",
        target="metabench_nlp.sources.wikiqa:wikiqa",
        domain="nlp",
        modality="text-pair",
        task_kind="binary",
        metric="average-precision",
        other_metrics=("mrr", "auroc"),
        citation="Yang et al. (2015), EMNLP; tasks and split by question word: ours",
        licence="LicenseRef-Microsoft-Research-Data",
        files=files_by_hand.WIKIQA,
        protocol={"group_disjoint": True},
        suites={suite: {**_ANSWERS, "draws": 10} for suite in ("standard", "full")},
    )


@hookimpl
def metabench_encoders() -> Iterator[EncoderInfo]:
    """Yield the text encoders."""
    yield EncoderInfo(
        name="minilm",
        summary="all-MiniLM-L6-v2 sentence embeddings, frozen (384 dimensions)",
        target="metabench_nlp.encoders.minilm:MiniLM",
        modalities=("text",),
        trainable=False,
        citation="Reimers & Gurevych (2019), EMNLP; Wang et al. (2020), NeurIPS",
        licence="Apache-2.0",
        requires=("transformers", "tokenizers"),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="minilm-tunable",
        summary="all-MiniLM-L6-v2, all weights trainable; slow on a CPU (384 dimensions)",
        target="metabench_nlp.encoders.minilm_tunable:MiniLMTunable",
        modalities=("text",),
        trainable=True,
        citation="Reimers & Gurevych (2019), EMNLP; Wang et al. (2020), NeurIPS",
        licence="Apache-2.0",
        requires=("transformers", "tokenizers"),
    )
    yield EncoderInfo(
        name="hashed-ngrams",
        summary="signed hashing of word and character n-grams, no weights (4096 dimensions)",
        target="metabench_nlp.encoders.hashed_ngrams:HashedNgrams",
        modalities=("text",),
        trainable=False,
        citation="Weinberger et al. (2009), ICML",
        licence="Apache-2.0",
        requires=("sklearn",),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="text-cnn",
        summary="convolutions over hashed words, trained from scratch (240 dimensions)",
        target="metabench_nlp.encoders.text_cnn:TextCNN",
        modalities=("text",),
        trainable=True,
        citation="Kim (2014), EMNLP",
        licence="Apache-2.0",
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="hf-text",
        summary="any transformers text encoder, frozen, mean over tokens",
        target="metabench_nlp.encoders.hf_text:HFText",
        modalities=("text",),
        trainable=False,
        argument="model id, id@revision or folder",
        citation="Wolf et al. (2020), EMNLP demonstrations",
        requires=("transformers",),
    )
    yield EncoderInfo(
        name="minilm-pair",
        summary="product and distance of two all-MiniLM-L6-v2 embeddings, frozen (768 dimensions)",
        target="metabench_nlp.encoders.minilm_pair:MiniLMPair",
        modalities=("text-pair",),
        trainable=False,
        citation="Conneau et al. (2017), EMNLP, section 3.1; Reimers & Gurevych (2019), EMNLP",
        licence="Apache-2.0",
        requires=("transformers", "tokenizers"),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="minilm-pair-mlp",
        summary="two trained layers on the features of minilm-pair (64 dimensions)",
        target="metabench_nlp.encoders.minilm_pair:MiniLMPairMLP",
        modalities=("text-pair",),
        trainable=True,
        citation="Conneau et al. (2017), EMNLP, section 3.1; Reimers & Gurevych (2019), EMNLP",
        licence="Apache-2.0",
        requires=("transformers", "tokenizers"),
        suites=_EVERY_SUITE,
    )
    yield EncoderInfo(
        name="ngram-pair",
        summary="shared n-grams, question word and cues of the expected answer, no weights",
        target="metabench_nlp.encoders.ngram_pair:NgramPair",
        modalities=("text-pair",),
        trainable=False,
        citation="after Yih et al. (2013), ACL; Li & Roth (2002), COLING",
        licence="Apache-2.0",
        suites=_EVERY_SUITE,
    )


@hookimpl
def metabench_readers() -> Iterator[ReaderInfo]:
    """Yield how users' own items are read."""
    yield ReaderInfo(
        name="texts",
        summary="texts of a table, or a file each",
        target="metabench_nlp.reader:TextReader",
        domain="nlp",
        modality="text",
        suffixes=(".txt",),
        role="text",
    )
