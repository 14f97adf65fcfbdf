"""What files of other programs are, told by their first bytes, and what can be done with them."""

from __future__ import annotations

from typing import Optional

_RETARGET = (
    "its skeleton is another: retarget it to this character first, and save root_pos, root_rot, joint_rot and fps "
    "(docs/data.md says how)"
)
_CONVERT = "convert it: parc-tracker convert FILE --out FOLDER"
_BEGINNINGS = (
    (b"HIERARCHY", f"a BVH motion capture file; {_CONVERT}"),
    (b"Kaydara FBX", f"an FBX file; {_RETARGET}"),
    (b"; FBX", f"an FBX file; {_RETARGET}"),
    (b"glTF", f"a glTF file; {_RETARGET}"),
    (b"\x89HDF", f"an HDF5 file, not a motion of this character; {_RETARGET}"),
    (b"\x93NUMPY", f"a numpy file (.npy); if it is motion capture, {_CONVERT}"),
    (b"\x02\x50", f"a C3D file of markers; {_RETARGET}"),
    (b"MATLAB ", f"a MATLAB file; {_RETARGET}"),
    (b"\x1f\x8b", "compressed with gzip; decompress it first (gunzip)"),
    (b"\xfd7zXZ", "compressed with xz; decompress it first (unxz)"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; decompress it first (zstd -d)"),
    (b"BZh", "compressed with bzip2; decompress it first (bunzip2)"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; fetch it: git lfs pull"),
    (b"<", "XML or HTML, not a motion; download the file itself"),
)
_LOOK = 4096


def foreign_file(data: bytes) -> Optional[str]:
    """What a file is that holds no pickle, and what to do; None where it is not known."""
    head = data[:_LOOK].lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, words in _BEGINNINGS:
        if head.startswith(beginning):
            return words
    return _text(head)


def _text(head: bytes) -> Optional[str]:
    try:
        text = head.decode("ascii")
    except UnicodeDecodeError:
        return None
    if any(ord(c) < 32 and c not in "\t\r\n" for c in text):
        return None
    if text.startswith(("{", "[")):
        return f"a JSON file; {_RETARGET}"
    first = text.splitlines()[0] if text else ""
    for sign, name in ((",", "comma"), (";", "semicolon"), ("\t", "tab")):
        if first.count(sign) >= 2:
            return f"a table of {first.count(sign) + 1} {name}-separated columns (CSV); {_RETARGET}"
    return None
