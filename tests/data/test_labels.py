"""One rule for labels: what class folders, tables, file names and archives say of the network's classes."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import UserError
from engine.data.archive import inner_folder, unpack
from engine.data.images import open_folder
from engine.data.labelling import label_tables as tables
from engine.data.labelling.classes import Classes

SPACE = {"image_shape": (1, 8, 8), "mean": (0.0,), "std": (1.0,), "resize": 8}
ANIMALS = ("Tabby cat", "dog, hound", "Cow", "hen")


def pictures(folder: Path, *names: str) -> Path:
    for shade, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), shade).save(folder / name)
    return folder


def opened(folder, names=(), outputs=0):
    return open_folder(folder, **SPACE, classes=Classes(tuple(names), outputs))


def labels(folder, names=(), outputs=0):
    found = opened(folder, names, outputs).labels
    return None if found is None else found.tolist()


# --- class folders ------------------------------------------------------------------------------


@pytest.mark.parametrize(("folders", "names", "outputs", "expected"), [
    (["0", "1", "3", "9"], (), 10, [0, 1, 3, 9]),  # numbers are the classes, whatever is missing
    (["1", "2", "10"], ANIMALS, 11, [1, 2, 10]),
    (["00", "01", "07"], (), 0, [0, 1, 7]),
    (["class_2", "class_0"], (), 3, [0, 2]),
    (["cow", "TABBY_CAT"], ANIMALS, 4, [0, 2]),  # names are the network's
    (["dog", "hen"], ANIMALS, 4, [1, 3]),  # the first of several words for a class
    (["cow", "3"], ANIMALS, 4, [2, 3]),
    (["1", "2", "10"], ("1", "10", "2"), 3, [0, 1, 2]),  # names that are numerals
    (["n01440764", "n02102040", "n03000684"], (), 1000, [0, 217, 491]),  # ImageNet's synsets
    (["n01440764", "n02102040"], [f"class {n}" for n in range(1000)], 0, [0, 217]),
    (["n03000684", "n01440764"], ("n03000684", "n01440764"), 2, [0, 1]),
    (["dog", "ant", "cat"], (), 3, [0, 1, 2]),  # a whole set, as ImageFolder numbers it
])  # fmt: skip
def test_class_folders_have_the_numbers_of_their_classes(
    tmp_path, folders, names, outputs, expected
):
    pictures(tmp_path, *(f"{name}/x.png" for name in folders))
    assert sorted(labels(tmp_path, names, outputs)) == expected


@pytest.mark.parametrize(("files", "names", "outputs"), [
    (["images/a.png", "images/b.png"], ANIMALS, 4),
    (["images/a.png", "masks/a.png"], (), 4),
    (["ant/a.png", "cat/a.png"], (), 3),
    (["ant/a.png", "cat/a.png"], (), 0),
    (["ant/a.png", "rat/a.png"], ANIMALS, 4),
    (["n01440764/a.png", "n02102040/a.png"], (), 10),
    (["images/a.png"], (), 1),
])  # fmt: skip
def test_what_cannot_be_told_stays_unlabelled_and_the_note_s_way_out_works(
    tmp_path, files, names, outputs
):
    images = opened(pictures(tmp_path, *files), names, outputs)
    assert (len(images), images.labels) == (len(files), None)
    (note,) = images.notes
    assert "taken without labels" in note
    assert repr(Path(files[0]).parts[0]) in note
    assert "by class number" in note
    assert "classes.txt" in note
    folders = sorted({Path(file).parts[0] for file in files})
    (tmp_path / "classes.txt").write_text("\n".join([*folders, *"qrstuvwxyz"][: outputs or 5]))
    assert set(labels(tmp_path, names, outputs)) == set(range(len(folders)))
    (tmp_path / "classes.txt").unlink()
    for number, name in enumerate(folders):
        (tmp_path / name).rename(tmp_path / str(number))
    assert set(labels(tmp_path, names, outputs)) == set(range(len(folders)))


@pytest.mark.parametrize(("folders", "names", "said"), [
    (["cow", "rat"], ANIMALS, "class folder 'rat' is called like none of the network's 4 classes"),
    (["0", "1", "extra"], (), "class folder 'extra' is called like none"),
    (["-1", "0"], (), "'-1' is label -1; class numbers count from 0"),
    (["crane"], ("crane", "dog", "crane"), "'crane' is the name of the network's classes 0 and 2"),
])  # fmt: skip
def test_folders_of_which_some_are_classes_and_others_not_are_refused(
    tmp_path, folders, names, said
):
    pictures(tmp_path, *(f"{name}/x.png" for name in folders))
    with pytest.raises(UserError, match=said):
        opened(tmp_path, names)


@pytest.mark.parametrize("name", [str(2**31), "9" * 32, f"class_{'9' * 32}"])
def test_a_class_folder_with_a_number_that_is_none_is_skipped_and_listed(tmp_path, name):
    first = f"{name.rstrip('0123456789')}1"  # of the same kind
    pictures(tmp_path, f"{first}/a.png", f"{name}/x.png", f"{name}/y.png")
    images = opened(tmp_path)
    assert images.labels.tolist() == [1]
    assert images.skipped == [
        f"{name}/{file}: {name[:40]} is no class number" for file in ("x.png", "y.png")
    ]
    (tmp_path / first / "a.png").unlink()
    with pytest.raises(UserError, match=r"none of the images .* is no class number; give some"):
        opened(tmp_path)


def test_what_editors_and_systems_hide_is_no_image(tmp_path):
    pictures(tmp_path, "0/a.png", "1/a.png", "0/.ipynb_checkpoints/a-checkpoint.png",
             "__MACOSX/0/._a.png", ".ipynb_checkpoints/b.png", "1/__MACOSX/a.png")  # fmt: skip
    assert labels(tmp_path) == [0, 1]


def test_images_beside_class_folders_are_not_used_in_silence(tmp_path):
    pictures(tmp_path, "0/a.png", "1/a.png", "b.png")
    assert "1 images beside the class folders" in opened(tmp_path).notes[0]


@pytest.mark.parametrize(
    "text", ["cat\ncow\ndog\n", "0 cat\n1 cow\n2 dog", "1: cat\n2: cow\n3: dog"]
)
@pytest.mark.parametrize("name", ["classes.txt", "labels.txt"])
def test_a_list_of_classes_beside_the_folders_names_the_outputs(tmp_path, text, name):
    pictures(tmp_path, "dog/a.png", "cow/a.png")
    (tmp_path / name).write_text(text)
    assert labels(tmp_path, outputs=3) == [1, 2]
    (tmp_path / name).write_text("cat\ncow")
    with pytest.raises(UserError, match=rf"{name} names 2 classes, the network has 3"):
        labels(tmp_path, outputs=3)


def test_files_that_begin_with_synsets_are_labelled_by_them(tmp_path):
    pictures(tmp_path, "n01440764_tench.png", "n02102040_9.png", "n03000684_1.png")
    assert labels(tmp_path, outputs=1000) == [0, 217, 491]
    assert labels(tmp_path) is None


@pytest.mark.parametrize("place", ["set", "set/test", "deep/set/val"])
def test_a_zip_and_the_same_folder_give_the_same(tmp_path, place):
    folder = pictures(tmp_path / "on disk", f"{place}/0/a.png", f"{place}/3/b.png")
    (folder / place / "2").mkdir()
    (folder / "README.md").write_text("about")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    unpack(tmp_path / "x.zip", tmp_path / "out")
    one, other = (opened(f, outputs=4) for f in (folder, inner_folder(tmp_path / "out")))
    assert one.labels.tolist() == other.labels.tolist() == [0, 3]
    assert (one.first(9) == other.first(9)).all()


def test_an_empty_class_folder_comes_out_of_a_zip(tmp_path):
    folder = pictures(tmp_path / "in", "ant/a.png", "cow/b.png")
    (folder / "cat").mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    unpack(tmp_path / "x.zip", tmp_path / "out")
    assert labels(tmp_path / "out", outputs=3) == labels(folder, outputs=3) == [0, 2]


# --- tables -------------------------------------------------------------------------------------

FILES = ("a.png", "imgs/b.png", "c d.png")


@pytest.mark.parametrize(("text", "expected"), [
    ("a.png 9\nimgs/b.png 3\nc d.png 0\n", [9, 3, 0]),  # blanks between
    ("file label\na.png 9\nimgs/b.png 3\n", [9, 3]),
    ("file,label\na.png,9.0\nimgs/b.png,3.\nc d.png,0\n", [9, 3, 0]),
    ("file,label\n.\\a.png,9\n.\\imgs\\b.png,3\n", [9, 3]),
    ("file,label\nC:\\mine\\a.png,9\n/home/me/imgs/b.png,3\n", [9, 3]),
    ("file,label\nA.PNG,9\nB,3\n", [9, 3]),
    ("9,a.png\n3,imgs/b.png\n", [9, 3]),
    (",file,label\n0,a.png,9\n1,imgs/b.png,3\n", [9, 3]),  # pandas' index
    ("# from my camera\nfile|label\na.png|9\n", [9]),
    ("file,label\ra.png,9\rimgs/b.png,3\r", [9, 3]),
    ("file,label\na.png\0,9\n", [9]),
    ("filename,species\na.png,9\nimgs/b.png,3\n", [9, 3]),
    ("image,c0,c1,c2\na.png,0,1,0\nimgs/b.png,0,0,1\n", [1, 2]),  # one-hot
    ("image,width,c0,c1\na.png,28,0,1.0\nimgs/b.png,30,1.0,0\n", [1, 0]),
    ("a.png,0,0,1\nimgs/b.png,1,0,0\n", [2, 0]),
    ("image,Cow,hen\na.png,1,0\nimgs/b.png,0,1\n", [2, 3]),
])  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-8-sig"])
def test_tables_as_people_have_them(tmp_path, text, expected, encoding):
    pictures(tmp_path, *FILES)
    (tmp_path / "Labels.csv").write_bytes(text.encode(encoding))
    names = ANIMALS if "Cow" in text else ()
    images = opened(tmp_path, names, len(names) or 10)
    assert images.labels.tolist() == expected
    assert images.skipped == []


def test_columns_without_names_stand_for_the_outputs_in_their_order(tmp_path):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text("image,wolf,ant\na.png,1,0\nimgs/b.png,0,1\n")
    images = opened(tmp_path, outputs=2)
    assert images.labels.tolist() == [0, 1]
    assert "numbered by its place ('wolf', 'ant')" in images.notes[0]
    assert labels(tmp_path, outputs=3) is None


@pytest.mark.parametrize(("text", "said"), [
    ("image,risk,DR,MH\na.png,1,1,0\n", r"labels\.csv line 2 marks 2 of its 3 classes \(risk, DR\)"),
    ("image,DR,MH\na.png,0,0\n", r"line 2 marks 0 of its 2 classes"),
    ("image,DR,MH\na.png,0.3,0.7\n", "has the columns image, DR, MH, and none of labels"),
    ("a.png,3,7\n", "has 3 columns and no head"),
    ("", r"labels\.csv is empty"),
    ("file,label\n", "nothing below its head"),
    ("file,label\na.png,1\nimgs/b.png,\n", r"labels\.csv line 3"),
    ("file,label\na.png,1\nimgs/b.png,cow\n", r"labels\.csv line 3: label 'cow' is called like none"),
    ("file,label\na.png,nan\nimgs/b.png,1\n", r"labels\.csv line 2: label 'nan'"),
])  # fmt: skip
def test_a_table_that_says_no_class_for_each_file_is_refused_with_the_reason(tmp_path, text, said):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        opened(tmp_path, outputs=10)


@pytest.mark.parametrize(("row", "said"), [
    (f"imgs/b.png,{2**70}", "is no class number"),
    (f"imgs/b.png,{10**400}", "is no class number"),
    (",3", "no file is named"),
    (f"{'x' * 400}.png,3", "too long for the name of a file"),
    (f"{'x/' * 3000}a.png,3", "too long for the name of a file"),
    ("gone.png,3", "no such file"),
    ("a.png,1", "stands in labels.csv line 2 too"),
])  # fmt: skip
def test_rows_that_name_no_image_are_skipped_and_listed(tmp_path, row, said):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text(f"file,label\na.png,1\n{row}\nc d.png,2\n")
    images = opened(tmp_path, outputs=10)
    assert images.labels.tolist() == [1, 2]
    (skipped,) = images.skipped
    assert said in skipped


@pytest.mark.parametrize(("text", "said"), [
    ("file,label\na.png,1\nimgs/b.png,1,9\n", r"line 3 has 3 fields, and the table 2 columns"),
    ("a.png,1\nimgs/b.png,1,,9\n", r"line 2 has 4 fields, and the table 2 columns"),
    ("image,DR,MH\na.png,1,0\nimgs/b.png,1,0,1\n", r"line 3 has 4 fields, and the table 3"),
    ('file,label\nx,y.png,1\n', r"line 2 has 3 fields.*in quotes"),
])  # fmt: skip
def test_a_row_longer_than_the_head_is_refused_by_its_line(tmp_path, text, said):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=rf"^labels\.csv {said}"):
        opened(tmp_path, outputs=10)


@pytest.mark.parametrize("text", [
    "file,label\na.png,1,\nimgs/b.png,2,, \n", "a.png,1\nimgs/b.png,2,\n",
    "file,label,,\na.png,1,,\nimgs/b.png,2\n", "image,u,v,w\na.png,0,1,0,\nimgs/b.png,0,0,1,,\n",
])  # fmt: skip
def test_empty_fields_behind_a_row_are_nothing(tmp_path, text):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text(text)
    assert labels(tmp_path, outputs=3) == [1, 2]


def test_a_file_with_two_labels_is_not_taken_under_either(tmp_path):
    pictures(tmp_path, *FILES)
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\na.png,2\nc d.png,2\n")
    images = opened(tmp_path, outputs=10)
    assert images.labels.tolist() == [2]
    assert len(images.skipped) == 2


def test_the_folder_is_walked_once_however_many_names_are_missing(tmp_path, monkeypatch):
    pictures(tmp_path, *FILES)
    rows = "".join(f"gone{n}.png,1\n" for n in range(300))
    (tmp_path / "labels.csv").write_text(f"file,label\na.png,1\n{rows}")
    walks = []
    for walk in ("rglob", "iterdir"):
        found = getattr(Path, walk)
        monkeypatch.setattr(
            tables.Path, walk, lambda self, *a, found=found: walks.append(self) or found(self, *a)
        )
    images = opened(tmp_path, outputs=10)
    assert (len(images), len(images.skipped)) == (1, 300)
    assert len(walks) < 20


def test_labels_are_left_alone_where_the_images_alone_are_wanted(tmp_path):
    pictures(tmp_path, "0/a.png", "extra/b.png")
    assert open_folder(tmp_path, **SPACE, classes=None).labels is None


def test_the_shipped_synsets_are_the_thousand_in_the_order_of_their_numbers():
    from engine.data.labelling.classes import WNIDS_FILE

    wnids = WNIDS_FILE.read_text().split()
    assert len(wnids) == 1000
    assert wnids == sorted(set(wnids))
    assert np.all([len(wnid) == 9 and wnid[0] == "n" for wnid in wnids])
