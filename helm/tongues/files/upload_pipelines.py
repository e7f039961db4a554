"""Upload the compiled pipelines that ship with tongues; a version that is there already is left alone."""

import os
from pathlib import Path

from tongues.cli.opening import shipped_folder
from tongues.platform.kfp_access import KfpAccess
from tongues.platform.kfp_server import KfpServer
from tongues.stages.remote_submit import Order

token = os.environ.get("KFP_TOKEN_FILE")
access = KfpAccess(
    os.environ["KFP_HOST"],
    namespace=os.environ["KFP_NAMESPACE"],
    token_file=Path(token) if token else None,
)
server = KfpServer(access)
folder = Path(os.environ.get("PIPELINES_FOLDER") or shipped_folder("compiled"))
for compiled in sorted(folder.glob("*.yaml")):
    order = Order(compiled, recipe="", recipe_sha256="", workspace="", experiment="", run_name="")
    version = server.version(order.pipeline_name, order.version_name, compiled.read_bytes())
    print(f"{version.name}: {'uploaded' if version.uploaded else 'was there already'}")
