"""Claim: a million records are mixed, freed of duplicates and split at 50,000 a second on two cores, and near
duplicates are found 10 times as fast as with datasketch, in flat memory and without losing a cluster.

Records in four languages (one of them without spaces) are put together from real sentences, with duplicates
planted among them: 5 % exact, 3 % with other case, blanks and punctuation, 4 % with 3 % of the words
replaced, 3 % with 10 %. A tenth, four tenths and all of them are measured, which shows how time grows. The
peer gets the texts of the first records of the same data in the same run: lower case, runs of letters, three
words in a row, 128 permutations, threshold 0.7. Recall is over planted pairs whose true Jaccard similarity,
computed here from scratch, is at least 0.7. Every pass runs in a process of its own, so that the peak of its
memory is its own. The real sentences are few; further ones are made of them by replacing 30 % of the words,
until there is one for every 16 records, so that it does not depend on the number of records how many share a
sentence. `ratio` is our records per second of processor time divided by datasketch's, which are the same as
seconds where nothing else runs; both use one core.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from math import log
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet

from tongues.core.recipe import DatasetSection
from tongues.core.records import RECORD_SCHEMA
from tongues.core.shards import ROWS_PER_SHARD, ShardWriter, shard_paths
from tongues.data.assembly import Assembly
from tongues.data.clusters import Clusters
from tongues.data.near_dedup import NearDuplicateFinder
from tongues.data.record_batches import texts
from tongues.data.shingles import shingles
from tongues.data.spill import RecordSpill

ROOT = Path(__file__).resolve().parents[1]
LANGS = ("en", "es", "vi", "zh-Hans")
PLANTED = (("exact", 0.05), ("norm", 0.03), ("edit3", 0.04), ("edit10", 0.03))
THRESHOLD = 0.7
BATCH = 8_192
VARIED = 0.3
RECORDS_PER_SENTENCE = 16
CHECKED_PAIRS = 20_000
Took = dict[str, float]
"""What a pass took, and what it found."""
Run = tuple[Took, Took | None]
"""Exact pass and near pass."""
MIXTURE = {"methods": [{"method": "direct"}, {"method": "crossin", "x2x": 1}], "validation_share": 0.05}


class Corpus:
    """Sentences of real text per language; where they are few, further ones with some words replaced.

    Args:
        folder: with the text.
        sentences: of each language, at least.
    """

    def __init__(self, folder: Path, sentences: int) -> None:
        self.sentences = {lang: list(dict.fromkeys(found)) for lang, found in _read(folder).items()}
        self.words = {lang: [w for s in found for w in s.split()] for lang, found in self.sentences.items()}
        self.words["zh-Hans"] = [c for s in self.sentences["zh-Hans"] for c in s]
        draw = random.Random(3)
        for lang, real in self.sentences.items():
            missing = max(sentences - len(real), 0)
            real += [self.edited(real[n % len(real)], lang, VARIED, draw) for n in range(missing)]

    def text(self, lang: str, draw: random.Random) -> str:
        glue = "" if lang == "zh-Hans" else " "
        return glue.join(draw.choices(self.sentences[lang], k=draw.randint(3, 6)))

    def edited(self, text: str, lang: str, share: float, draw: random.Random) -> str:
        glue = "" if lang == "zh-Hans" else " "
        words = list(text) if lang == "zh-Hans" else text.split()
        return glue.join(draw.choice(self.words[lang]) if draw.random() < share else w for w in words)

    def planted(self, text: str, lang: str, kind: str, draw: random.Random) -> str:
        if kind == "exact":
            return text
        if kind == "norm":
            return re.sub(r"[^\w\s]", "", text.upper()).replace(" ", "  ")
        return self.edited(text, lang, 0.03 if kind == "edit3" else 0.1, draw)


def _read(folder: Path) -> dict[str, list[str]]:
    if not (folder / "xquad").is_dir():
        rows = (ROOT / "recipes" / "quickstart" / "instructions.jsonl").read_text("utf-8").splitlines()
        known = [s for row in map(json.loads, rows) for s in _cut(f"{row['instruction']} {row['output']}")]
        return dict.fromkeys(LANGS[:3], known) | {"zh-Hans": list(map(_unspaced, known))}
    found: dict[str, list[str]] = {lang: [] for lang in LANGS}
    for name in ("gsm8k_train.json", "gpteacher_roleplay.json"):
        for row in json.loads((folder / name).read_text("utf-8")):
            found["en"] += _cut(" ".join((row["instruction"], row["input"], row["output"])))
    for lang in LANGS[1:]:
        document = json.loads((folder / "xquad" / f"xquad.{lang[:2]}.json").read_text("utf-8"))
        for part in (p for article in document["data"] for p in article["paragraphs"]):
            found[lang] += _cut(part["context"]) + [question["question"] for question in part["qas"]]
    return found


def _unspaced(text: str) -> str:
    """A sentence of a script without spaces: one Han character for each word, always the same."""
    return "".join(chr(0x4E00 + crc32(word.encode()) % 0x5000) for word in text.split())


def _cut(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+|(?<=[。！？])", text) if len(s.strip()) > 8]


def records(corpus: Corpus, count: int) -> Iterator[tuple[str, str, str, str | None, str]]:
    """Id, language, text, id of the original of a planted one, and its text."""
    draw, originals = random.Random(7), []
    borders = [sum(share for _, share in PLANTED[: n + 1]) for n in range(len(PLANTED))]
    for number in range(count):
        name = blake2b(str(number).encode(), digest_size=8).hexdigest()
        luck = draw.random()
        if originals and luck < borders[-1]:
            kind = next(k for (k, _), border in zip(PLANTED, borders, strict=True) if luck < border)
            lang, first, text = draw.choice(originals)
            yield name, lang, corpus.planted(text, lang, kind, draw), first, text
            continue
        lang = LANGS[number % len(LANGS)]
        text = corpus.text(lang, draw)
        if len(originals) < 50_000:
            originals.append((lang, name, text))
        else:
            originals[draw.randrange(50_000)] = (lang, name, text)
        yield name, lang, text, None, ""


def write(text: Path, count: int, folder: Path) -> None:
    """Write the records as shards, and the planted pairs of true similarity at or above the threshold."""
    stream, pairs, checked = records(Corpus(text, count // RECORDS_PER_SENTENCE), count), [], 0
    size = min(ROWS_PER_SHARD, max(count // 10, 1))
    with ShardWriter(folder / "records", RECORD_SCHEMA, rows_per_shard=size) as writer:
        while batch := list(islice(stream, BATCH)):
            writer.write_batch(_batch(batch))
            for name, lang, text, first, original in batch:
                if first is not None and text != original and checked < CHECKED_PAIRS:
                    checked += 1
                    if jaccard("\n".join(turns(text)), "\n".join(turns(original)), lang) >= THRESHOLD:
                        pairs.append((first, name))
    (folder / "pairs.json").write_text(json.dumps(pairs))


def _batch(rows: list[tuple[str, str, str, str | None, str]]) -> pa.RecordBatch:
    names, langs, bodies, *_ = zip(*rows, strict=True)
    halves = list(map(turns, bodies))
    columns = [
        names,
        [(("user", q, lang), ("assistant", a, lang)) for (q, a), lang in zip(halves, langs, strict=True)],
        langs,
        names,
        ["direct" if name < "a" else "crossin/x2x" for name in names],
        [("bench", "1", "x:1", "CC-BY-4.0")] * len(rows),
        [[]] * len(rows),
        [[]] * len(rows),
    ]
    arrays = [pa.array(list(c), f.type) for c, f in zip(columns, RECORD_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORD_SCHEMA)


def turns(body: str) -> tuple[str, str]:
    """What is asked and what is answered: a third and the rest."""
    return body[: len(body) // 3], body[len(body) // 3 :]


def shingle_set(text: str, lang: str) -> set[str]:
    """The textbook's shingles: the reference for similarity, and what the peer is given."""
    size = 5 if lang == "zh-Hans" else 3
    words = re.findall(r"\w", text.lower()) if lang == "zh-Hans" else re.findall(r"[^\W_]+", text.lower())
    return {" ".join(words[i : i + size]) for i in range(max(len(words) - size + 1, 1))}


def jaccard(one: str, other: str, lang: str) -> float:
    """Similarity of two texts, computed from scratch."""
    a, b = shingle_set(one, lang), shingle_set(other, lang)
    return len(a & b) / len(a | b)


def exact_pass(shards: list[Path], scratch: Path) -> Took:
    """Read the shards, drop exact duplicates, mix, split, and write what is left."""
    weights = dict.fromkeys(LANGS[:3], 1.0) | {"zh-Hans": 0.9}
    section = DatasetSection.model_validate(
        MIXTURE | {"near_duplicates": None, "mixture": {"languages": weights}}
    )
    _loaded()
    started = time.perf_counter(), time.process_time()
    spill = spilled(shards, scratch / "spill")
    assembly = Assembly(spill, scratch, section, languages=LANGS[1:], source_lang="en", seed=1)
    ruling = assembly.ruling()
    kept = dropped = 0
    writers = {split: ShardWriter(scratch / split, RECORD_SCHEMA) for split in ("train", "validation")}
    for part in assembly.sorted_out(ruling, Clusters(ruling)):
        if isinstance(part, list):
            dropped += len(part)
        else:
            writers[part[0]].write_batch(part[1])
            kept += part[1].num_rows
    for writer in writers.values():
        writer.close()
    assert kept + dropped == spill.rows
    return _took(started, spill.rows)


def spilled(shards: list[Path], folder: Path) -> RecordSpill:
    """The records of the shards, in order of id."""
    with RecordSpill(folder) as spill:
        for batch in batches(shards):
            spill.add_batch(batch)
    return spill


def batches(shards: list[Path], columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The records of the shards as they stand."""
    for path in shards:
        with pa.parquet.ParquetFile(path) as parquet:
            yield from parquet.iter_batches(batch_size=BATCH, columns=columns)


def near_pass(
    shards: list[Path], scratch: Path, pairs: list[tuple[str, str]], count: int | None = None
) -> Took:
    """Find near duplicates among the first records as they stand, and compare with what was planted."""
    _loaded()
    started = time.perf_counter(), time.process_time()
    rows = 0
    places: dict[str, int] = {}
    wanted = {name for pair in pairs for name in pair}
    with NearDuplicateFinder(scratch / "near", threshold=THRESHOLD) as finder:
        for whole in batches(shards, ["id", "messages", "lang"]):
            batch = whole.slice(0, None if count is None else count - rows)
            finder.add(texts(batch), batch.column("lang").to_pylist())
            if wanted:
                ids = batch.column("id").to_pylist()
                places |= {name: rows + at for at, name in enumerate(ids) if name in wanted}
            rows += batch.num_rows
            if rows == count:
                break
        found = finder.find()
    took, stays = _took(started, rows), found.staying(rows)
    there = [(places[one], places[other]) for one, other in pairs if one in places and other in places]
    missed = sum(bool(stays[one] and stays[other]) for one, other in there)
    took |= {"pairs": len(there), "recall": 1 - missed / max(len(there), 1)}
    return took | {"removed": len(found), "over_removed": int((~stays[found.survivors]).sum())}


def peer_pass(shards: list[Path], count: int) -> Took:
    """The peer on the first records."""
    from datasketch import MinHash, MinHashLSH

    bodies, langs = [], []
    for batch in batches(shards, ["messages", "lang"]):
        bodies += texts(batch)
        langs += batch.column("lang").to_pylist()
        if len(bodies) >= count:
            break
    started = time.perf_counter(), time.process_time()
    indexes = {lang: MinHashLSH(threshold=THRESHOLD, num_perm=128) for lang in LANGS}
    removed = 0
    for number, (body, lang) in enumerate(zip(bodies[:count], langs[:count], strict=True)):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([s.encode() for s in shingle_set(body, lang)])
        if indexes[lang].query(sketch):
            removed += 1
        else:
            indexes[lang].insert(number, sketch)
    return _took(started, min(count, len(bodies))) | {"removed": removed}


def _loaded() -> None:
    """Load what pyarrow loads when first used, which has nothing to do with the number of records."""
    pa.array([1]).to_numpy()
    shingles(["warm up"])


def _took(started: tuple[float, float], rows: int) -> Took:
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {"rows": rows, "wall_s": wall, "cpu_s": cpu, "records_per_s": rows / wall, "peak_rss_gib": peak}


def alone(function: str, *arguments: object) -> Took:
    """Run a function of this module in a fresh process, which ours must stay smaller than."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result: Took = pool.apply(globals()[function], arguments)
        return result


def run(function: str, shards: list[Path], scratch: Path, *arguments: object) -> Took:
    """Run one of our passes, and take away what it left on disk."""
    took = alone(function, shards, scratch, *arguments)
    shutil.rmtree(scratch)
    return took


def measure(data: Path, scratch: Path, peer_rows: int, say: bool, near_too: bool) -> dict[str, object]:
    """All passes over a tenth, four tenths and all of the records, and the peer over the first of them."""
    shards, pairs = shard_paths(data / "records"), json.loads((data / "pairs.json").read_text())
    runs: dict[int, Run] = {}
    for part in sorted({max(len(shards) * tenths // 10, 1) for tenths in (1, 4, 10)}):
        exact = run("exact_pass", shards[:part], scratch)
        near = run("near_pass", shards[:part], scratch, pairs) if near_too else None
        runs[int(exact["rows"])] = exact, near
        if say:
            _tell(exact, near)
    peer, ours = alone("peer_pass", shards, peer_rows), run("near_pass", shards, scratch, [], peer_rows)
    if say:
        print(f"{peer_rows:>10,} records: datasketch {peer['records_per_s']:,.0f} records/s,", end=" ")
        print(f"ours {ours['records_per_s']:,.0f}; load {_load()}", flush=True)
    return _result(runs, ours, peer)


def _tell(exact: Took, near: Took | None) -> None:
    told = f"{exact['records_per_s']:,.0f} records/s mixed, freed of exact duplicates and split"
    told += f" ({exact['cpu_s']:.1f} s of processor, {exact['peak_rss_gib']:.2f} GiB)"
    if near:
        told += f"; {near['records_per_s']:,.0f} records/s near duplicates ({near['cpu_s']:.1f} s of"
        told += f" processor, {near['peak_rss_gib']:.2f} GiB)"
        told += f", recall {near['recall']:.4f} of {near['pairs']:.0f} pairs"
    print(f"{exact['rows']:>10,} records: {told}; load {_load()}", flush=True)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def _result(runs: dict[int, Run], ours: Took, peer: Took) -> dict[str, object]:
    ratio = round((ours["rows"] / ours["cpu_s"]) / (peer["rows"] / peer["cpu_s"]), 2)
    exacts = [exact for _, (exact, _) in sorted(runs.items())]
    nears = [near for _, (_, near) in sorted(runs.items()) if near]
    return {
        "ratio": ratio,
        "peer": "datasketch, MinHash and MinHashLSH, same texts, processor time",
        "records": max(runs),
        "records_per_s": round(exacts[-1]["records_per_s"]),
        "records_per_cpu_s": round(exacts[-1]["rows"] / exacts[-1]["cpu_s"]),
        "near_records_per_s": round(nears[-1]["records_per_s"]) if nears else None,
        "near_records_per_cpu_s": round(nears[-1]["rows"] / nears[-1]["cpu_s"]) if nears else None,
        "near_dedup_ratio": ratio,
        "near_dedup_recall": round(nears[-1]["recall"], 4) if nears else None,
        "over_removed": sum(int(near["over_removed"]) for near in nears),
        "peak_rss_gib": round(max(took["peak_rss_gib"] for took in (exacts[-1], *nears[-1:])), 3),
        "growth": {"exact": list(map(_brief, exacts)), "near": list(map(_brief, nears))},
        "growth_exponent": {"exact": _exponent(exacts), "near": _exponent(nears)},
        "load": _load(),
    }


def _brief(took: Took) -> dict[str, float]:
    names = ("rows", "wall_s", "cpu_s", "peak_rss_gib")
    return {name: round(took[name], 3) for name in names}


def _exponent(runs: list[Took]) -> float | None:
    """Processor time grows as the number of records to this power, from the smallest run to the largest."""
    if len(runs) < 2:
        return None
    first, last = runs[0], runs[-1]
    return round(log(last["cpu_s"] / first["cpu_s"]) / log(last["rows"] / first["rows"]), 3)


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="50,000 records instead of 1,000,000")
    parser.add_argument("--records", type=int, help="so many records, at least 1,000")
    parser.add_argument("--exact-only", action="store_true", help="no near duplicates among all the records")
    parser.add_argument(
        "--text",
        type=Path,
        default=ROOT.parent / "shared" / "data",
        help="folder of real text; the quickstart's few sentences where there is none",
    )
    parser.add_argument(
        "--data", type=Path, help="keep the records here, and use those that are here already"
    )
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    arguments = parser.parse_args()
    count = arguments.records or (50_000 if arguments.quick else 1_000_000)
    peer_rows = 5_000 if arguments.quick else 30_000
    with tempfile.TemporaryDirectory(prefix="tongues-assembly-") as folder:
        data = arguments.data or Path(folder) / "data"
        if not (data / "pairs.json").exists():
            alone("write", arguments.text, count, data)
        scratch = Path(folder) / "scratch"
        result = measure(data, scratch, min(peer_rows, count), not arguments.json, not arguments.exact_only)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
