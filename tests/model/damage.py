"""Ways in which a saved fit is damaged or forged, for the tests of loading."""

import hashlib
import io
import json
import zipfile

import numpy as np

from hierbayes.saving.archive import DIGESTS, SPECIFICATION


def members_of(file):
    """The members of a saved fit, name -> content; digests are left out."""
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != DIGESTS}


def write_members(target, members, *, digests=True):
    """Write members with digests that are theirs, as a forger would, or without."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if digests:
            sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
            archive.writestr(DIGESTS, json.dumps(sums))
    return target


def rewritten(saved, target, change=None, arrays=None, *, digests=True):
    """Write a saved fit again with a changed specification or changed arrays; None drops one."""
    members = members_of(saved) | (arrays or {})
    if change is not None:
        members[SPECIFICATION] = json.dumps(change(json.loads(members[SPECIFICATION]))).encode()
    kept = {name: content for name, content in members.items() if content is not None}
    return write_members(target, kept, digests=digests)


def array_file(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def array_of(content):
    return np.load(io.BytesIO(content), allow_pickle=False)


def as_of_0_1_0(saved, target):
    """The same fit as hierbayes 0.1.0 wrote it: no digests, no criterion."""

    def older(specification):
        return {k: v for k, v in specification.items() if k not in ("digests", "criterion")}

    return rewritten(saved, target, older, digests=False)
