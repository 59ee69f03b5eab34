"""Which reader opens which type: the table.

What it does: maps type ids (`magic`) to the readers that open them, in the order in which they are asked; all of them are asked.
Not its job: reading (the other files of this room), following members (`walk`).
Raises: nothing.
"""

from __future__ import annotations

from gatepost.mail.unpack import archive, streams
from gatepost.mail.unpack.opened import Reader
from gatepost.mail.unpack.tar import read_tar
from gatepost.mail.unpack.zip import read_zip

_ZIPS = ("zip", "jar", "apk", "msix", "ooxml", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "xlsb", "odf", "epub")

READERS: dict[str, tuple[Reader, ...]] = {
    **dict.fromkeys(_ZIPS, (read_zip,)),
    "tar": (read_tar,),
    "gzip": (streams.read_gzip,),
    "bzip2": (streams.read_bzip2,),
    "xz": (streams.read_xz,),
    "lzma": (streams.read_xz,),
    "lzip": (streams.read_lzip,),
    "zstd": (streams.read_zstd,),
    "szdd": (streams.read_szdd,),
    "lz4": (archive.filter_reader("lz4"),),
    "compress": (archive.filter_reader("compress"),),
    "7z": (archive.reader("7zip"),),
    "rar": (archive.reader("rar", "rar5"),),
    "cab": (archive.reader("cab"),),
    "lha": (archive.reader("lha"),),
    "cpio": (archive.reader("cpio"),),
    "rpm": (archive.reader("cpio", filters=("rpm", "gzip", "bzip2", "xz", "lzma", "zstd")),),
    "ar": (archive.reader("ar"),),
    "iso": (archive.reader("iso9660"),),
    "udf": (archive.reader("iso9660"),),
    "xar": (archive.reader("xar"),),
}
