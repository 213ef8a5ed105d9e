"""Objects that builds share."""

from sim.build import Runtime


def test_objects_are_kept_once(tmp_path):
    objects = tmp_path / "objects"
    objects.mkdir()
    for name, text in (("verilated.o", "first"), ("verilated_vpi.o", "vpi"), ("Vtop__ALL.o", "the design's own")):
        (objects / name).write_text(text)
    runtime = Runtime(tmp_path, ["-O0"])
    assert runtime.objects() == []
    runtime.keep(objects)
    (objects / "verilated.o").write_text("second")
    runtime.keep(objects)
    assert [(path.name, path.read_text()) for path in runtime.objects()] == [
        ("verilated.o", "first"), ("verilated_vpi.o", "vpi")]
    assert Runtime(tmp_path, ["-O2"]).objects() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["objects", runtime.folder.name]
