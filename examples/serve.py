"""Serves the model of Houses.py in the first protocol of KServe: POST /v1/models/NAME:predict."""
import http.server
import json
import os

from Houses import Houses

MODEL = Houses()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
        answer = json.dumps({"predictions": [row[0] for row in MODEL.predict(rows)]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
