"""Files of the sample application on ChOp-Temp, in the four folders of the operator's document."""

import os
import re
import shutil
import uuid
import zipfile
from contextlib import closing
from xml.sax.saxutils import escape

try:
    from urllib.request import urlopen
except ImportError:  # Python 2
    from urllib2 import urlopen

UPLOADS, REPORTS, PHOTOS, ARCHIVES = "uploads", "reports", "photos", "archives"
SUFFIX = {UPLOADS: ".xls", REPORTS: ".xls", ARCHIVES: ".zip"}
_IDENTIFIER = re.compile(r"^[0-9a-f]{32}$")
_CHUNK = 64 * 1024
# A spreadsheet is an OLE2 compound file or SpreadsheetML; anything else is refused.
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_REPORT = """<?xml version="1.0"?>
<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"
 xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
<Worksheet ss:Name="Report"><Table>{rows}</Table></Worksheet>
</Workbook>
"""
_ROW = '<Row><Cell><Data ss:Type="String">{0}</Data></Cell><Cell><Data ss:Type="String">{1}</Data></Cell></Row>'


class Refused(Exception):
    """The request cannot be served as it was asked."""


class Storage(object):
    """ChOp-Temp as the application sees it.

    What is being written ends in `.<host>.part`: so the host that drains knows which jobs of its own are open.
    """

    def __init__(self, root, host):
        self._root = root
        self._part = ".{0}.part".format(host)

    def _path(self, folder, identifier):
        if not _IDENTIFIER.match(identifier):
            raise Refused("{0!r} is no identifier: 32 hexadecimal digits are".format(identifier))
        return os.path.join(self._root, folder, identifier + SUFFIX.get(folder, ""))

    def probe(self, host):
        """Write, read and remove a small file, so that readiness means that ChOp-Temp really works."""
        path = os.path.join(self._root, REPORTS, ".probe-" + host)
        with open(path, "wb") as stream:
            stream.write(host.encode("utf-8"))
        with open(path, "rb") as stream:
            if stream.read() != host.encode("utf-8"):
                raise IOError("ChOp-Temp gave back other bytes than were written to " + path)
        os.remove(path)

    def upload(self, source, length):
        """Keep an uploaded spreadsheet of `length` bytes; return its identifier."""
        identifier = uuid.uuid4().hex
        head = source.read(min(length, _CHUNK))
        if not (head.startswith(_OLE2) or (head.lstrip().startswith(b"<?xml") and b"Workbook" in head)):
            raise Refused("the upload is no XLS file: neither an OLE2 document nor SpreadsheetML")
        path = self._path(UPLOADS, identifier)
        with open(path + self._part, "wb") as stream:
            stream.write(head)
            remaining = length - len(head)
            while remaining > 0:
                chunk = source.read(min(remaining, _CHUNK))
                if not chunk:
                    os.remove(path + self._part)
                    raise Refused("the upload ended {0} bytes early".format(remaining))
                stream.write(chunk)
                remaining -= len(chunk)
        os.rename(path + self._part, path)
        return identifier

    def report(self, upload, facts):
        """Write the processed spreadsheet of an upload; return its identifier."""
        size = os.path.getsize(self.existing(UPLOADS, upload))
        identifier = uuid.uuid4().hex
        rows = [("upload", upload), ("bytes", size)] + sorted(facts.items())
        text = _REPORT.format(rows="".join(_ROW.format(escape(str(a)), escape(str(b))) for a, b in rows))
        path = self._path(REPORTS, identifier)
        with open(path + self._part, "wb") as stream:
            stream.write(text.encode("utf-8"))
        os.rename(path + self._part, path)
        return identifier

    def photos(self, urls):
        """Fetch photos into a folder of their own, renamed in order; return its identifier."""
        identifier = uuid.uuid4().hex
        folder = self._path(PHOTOS, identifier)
        os.mkdir(folder + self._part)
        for index, url in enumerate(urls):
            if not url.startswith(("http://", "https://")):
                raise Refused("{0!r} is no http or https address of a photo".format(url))
            target = os.path.join(folder + self._part, "photo-{0:04d}.jpg".format(index + 1))
            with closing(urlopen(url, timeout=10)) as answer, open(target, "wb") as stream:
                shutil.copyfileobj(answer, stream, _CHUNK)
        os.rename(folder + self._part, folder)
        return identifier

    def archive(self, photos):
        """Compress a folder of photos; return the identifier of the zip file."""
        folder = self.existing(PHOTOS, photos)
        identifier = uuid.uuid4().hex
        path = self._path(ARCHIVES, identifier)
        with closing(zipfile.ZipFile(path + self._part, "w", zipfile.ZIP_DEFLATED, allowZip64=True)) as archive:
            for name in sorted(os.listdir(folder)):
                archive.write(os.path.join(folder, name), name)
        os.rename(path + self._part, path)
        return identifier

    def existing(self, folder, identifier):
        """Return the path of something that was kept, or refuse."""
        path = self._path(folder, identifier)
        if not os.path.exists(path):
            raise Refused("{0} has no {1}".format(folder, identifier))
        return path
