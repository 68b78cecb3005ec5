// tests/support/seldon_double.hpp - a double of seldon-core-microservice, which loads the Python
// class that it is told, and asks that.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <string_view>

#include "fairing/core/files.hpp"

namespace support {

inline void write_seldon_double(const std::filesystem::path& file) {
    fairing::write_file(file, std::string_view{R"(#!/usr/bin/env python3
import http.server, importlib, json, os, sys
sys.path.append(os.getcwd())
assert sys.argv[2:] == ["REST", "--service-type=MODEL", "--persistence=0"], sys.argv
model = getattr(importlib.import_module(sys.argv[1]), sys.argv[1])()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
        answer = json.dumps({"data": {"ndarray": model.predict(data["ndarray"], data["names"])}})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())
port = int(os.environ["PREDICTIVE_UNIT_HTTP_SERVICE_PORT"])
http.server.HTTPServer(("0.0.0.0", port), Handler).serve_forever()
)"},
                        0755);
}

/// Whether somebody listens on port 5000, which is Seldon's; then it is said.
inline bool is_seldon_port_taken() {
    const fairing::UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const int on = 1;  // connections that have ended do not count
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(5000);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        return false;
    }
    MESSAGE("skipped: somebody listens on port 5000, which is Seldon's");
    return true;
}

}  // namespace support
