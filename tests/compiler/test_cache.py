"""Keys of cached programs: everything that a program is made from changes them, nothing else does."""

import shutil

import pytest

from compiler import cache
from compiler.cache import cached_program, file_hash, key_of, source_hash
from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.models import TINY
from golden.params import LlmParams

PARTS = {"model": "ab", "recipe": {"bits": 5, "density": 0.75}, "params": {"channels": 2}, "context": 64}


def test_the_order_of_parts_does_not_matter():
    assert key_of(PARTS) == key_of(dict(reversed(PARTS.items())))


@pytest.mark.parametrize("change", [{"model": "ac"}, {"recipe": {"bits": 4, "density": 0.75}}, {"context": 65},
                                    {"params": {"channels": 4}}])  # fmt: skip
def test_every_part_matters(change):
    assert key_of(PARTS | change) != key_of(PARTS)


def test_a_folder_is_what_its_files_are_and_are_called(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (first / "a").write_text("text")
    shutil.copytree(first, second)
    assert file_hash(first) == file_hash(second)
    (second / "a").rename(second / "b")
    assert file_hash(first) != file_hash(second)
    (second / "b").rename(second / "a")
    (second / "a").write_text("texts")
    assert file_hash(first) != file_hash(second)


def test_sources_are_part_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    (tmp_path / "compiler").mkdir()
    (tmp_path / "compiler" / "a.py").write_text("x = 1")
    (tmp_path / "compiler" / "a.pyc").write_text("no source")
    before = source_hash.__wrapped__("compiler")
    (tmp_path / "compiler" / "a.pyc").write_text("changed")
    assert source_hash.__wrapped__("compiler") == before
    (tmp_path / "compiler" / "a.py").write_text("x = 2")
    assert source_hash.__wrapped__("compiler") != before


def test_a_program_is_made_once_and_again_when_it_is_torn(tmp_path):
    made = []

    def make():
        made.append(1)
        return compile_model(load_model(TINY), LlmParams(), context=32)

    first, cached = cached_program(tmp_path, "key", make)
    assert (len(made), cached) == (1, False)
    second, cached = cached_program(tmp_path, "key", make)
    assert (len(made), cached) == (1, True)
    assert second.instructions == first.instructions
    (tmp_path / "key" / "w0.bin").write_bytes(b"")
    assert cached_program(tmp_path, "key", make)[1] is False
    assert len(made) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
