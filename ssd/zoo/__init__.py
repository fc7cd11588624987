"""The pretrained SSD-MobileNet models: names, download, cache, and archives made safe.

    records     SHA-256 and small JSON files
    catalogue   the four models and their names
    download    one archive from a server or mirror; the only file here that opens the network
    archive     unpacking, confined to its folder
    cache       where a model lies, and whether it is still what came
    opening     fetch and open_model: from what a person says to a folder
    cli         `zoo list` and `zoo verify`

In the cache lie, per model,

    NAME/                            the model folder
    NAME.tar.gz                      the archive as it came
    NAME.json                        its SHA-256 and those of the unpacked files
    NAME.tar.gz.part, ...part.json   a download that was cut; the next one goes on from there
    archives/SHA256/, SHA256.json    the same for local archives

Environment: ZOO_CACHE is the cache folder; ZOO_MIRROR (an http(s):// or file:// address, or a
folder) is asked instead of the original server.
"""

from ssd.zoo.cache import cache_folder, statuses
from ssd.zoo.catalogue import CATALOGUE, is_known
from ssd.zoo.cli import list_models, verify
from ssd.zoo.download import ZooUnavailable
from ssd.zoo.opening import fetch, open_model

__all__ = [
    "CATALOGUE", "ZooUnavailable", "cache_folder", "fetch", "is_known", "list_models",
    "open_model", "statuses", "verify",
]  # fmt: skip
