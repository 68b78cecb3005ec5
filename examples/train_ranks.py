"""Data-parallel training in plain Python: every rank takes its rows, and a server averages the gradients over TCP.

The server is the first parameter server of a TFJob; elsewhere (PyTorchJob, an indexed Job) it is a thread of rank 0.
"""
import csv
import json
import os
import socket
import threading
import time

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "houses.csv")
EPOCHS = int(os.environ.get("EPOCHS", "20"))
RATE = 0.1
PATIENCE = 300  # seconds until the server has a name and listens


def place():
    """The rank, or None for a parameter server; how many ranks there are; the server's address; whether rank 0 serves."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    if not config:
        address = (os.environ.get("MASTER_ADDR", "localhost"), int(os.environ.get("MASTER_PORT", "29500")))
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")), address, True
    cluster, task = config["cluster"], config["task"]
    ranks = cluster.get("chief", []) + cluster.get("worker", [])
    host, port = (cluster.get("ps") or ranks)[0].rsplit(":", 1)
    before = len(cluster.get("chief", [])) if task["type"] == "worker" else 0
    rank = None if task["type"] == "ps" else before + int(task["index"])
    return rank, len(ranks), (host, int(port)), not cluster.get("ps")


def serve(port, ranks):
    """Gives all ranks the mean of what they sent, until they hang up."""
    with socket.create_server(("", port)) as door:
        peers = [door.accept()[0].makefile("rw") for _ in range(ranks)]
    while True:
        lines = [peer.readline() for peer in peers]
        if not all(lines):
            return
        mean = [sum(column) / ranks for column in zip(*map(json.loads, lines))]
        for peer in peers:
            print(json.dumps(mean), file=peer, flush=True)


def connect(address):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(address).makefile("rw")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def train():
    rank, ranks, address, rank_0_serves = place()
    if rank is None:
        print("averages for", ranks, "ranks", flush=True)
        return serve(address[1], ranks)
    averages = threading.Thread(target=serve, args=(address[1], ranks), daemon=True)
    if rank == 0 and rank_0_serves:
        averages.start()
    with open(DATA, encoding="utf-8") as file:
        rows = [(float(row["area_m2"]) / 100, float(row["price_kEUR"]) / 100) for row in csv.DictReader(file)]
    own = rows[rank::ranks]
    print(f"rank {rank} of {ranks}: {len(own)} of {len(rows)} rows", flush=True)
    server = connect(address)
    slope = offset = 0.0
    for epoch in range(1, EPOCHS + 1):
        errors = [slope * area + offset - price for area, price in own]
        sums = [sum(e * area for e, (area, _) in zip(errors, own)), sum(errors), sum(e * e for e in errors)]
        print(json.dumps([each / len(own) for each in sums]), file=server, flush=True)
        by_slope, by_offset, loss = json.loads(server.readline())
        slope -= RATE * 2 * by_slope
        offset -= RATE * 2 * by_offset
        print(f"epoch {epoch} loss {loss:.6f}", flush=True)
    if rank == 0 and "MODEL" in os.environ:
        with open(os.environ["MODEL"], "w", encoding="utf-8") as file:
            json.dump({"slope": slope, "offset": offset}, file)
        print("model written to", os.environ["MODEL"], flush=True)
    server.close()
    if averages.is_alive():  # the other ranks may still wait for their last mean
        averages.join()


if __name__ == "__main__":
    train()
