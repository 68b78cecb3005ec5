// Distributed training with no framework and no operator: every rank computes the gradient of its
// rows, rank 0 averages them over TCP, and all take the same step. By default one rank, here; in a
// cluster: fairing run ./08_distributed --deployer job --workers 4 --base-image debian:12-slim
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fairing.hpp>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Values = std::array<double, 3>;  // the two gradients, and the loss

/// All ranks of a run: a star of connections with rank 0 in its middle.
class Group {
public:
    explicit Group(const fairing::Worker& self) : size_(self.world_size) {
        const std::string port = std::to_string(self.main_port);
        if (self.rank > 0) {
            peers_.push_back(connected(self.main_address, port));
        } else if (size_ > 1) {
            accept_others(port);
        }
        is_main_ = self.rank == 0;
    }
    Group(Group&&) = delete;
    ~Group() {
        for (const int peer : peers_) {
            ::close(peer);
        }
    }

    /// The mean of all ranks' values, the same bits for everyone.
    Values average(Values values) {
        if (!is_main_) {
            send(peers_.front(), values);
            return received(peers_.front());
        }
        for (const int peer : peers_) {
            const Values theirs = received(peer);
            for (std::size_t i = 0; i < values.size(); ++i) {
                values[i] += theirs[i];
            }
        }
        for (double& value : values) {
            value /= size_;
        }
        for (const int peer : peers_) {
            send(peer, values);
        }
        return values;
    }

private:
    static addrinfo* resolved(const char* host, const std::string& port) {
        addrinfo hints{};
        hints.ai_family = AF_INET;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = host == nullptr ? AI_PASSIVE : 0;
        addrinfo* found = nullptr;
        return ::getaddrinfo(host, port.c_str(), &hints, &found) == 0 ? found : nullptr;
    }
    /// Rank 0 may have no name and no port yet: it is tried for two minutes.
    static int connected(const std::string& host, const std::string& port) {
        for (int attempt = 0; attempt < 600; ++attempt) {
            if (addrinfo* address = resolved(host.c_str(), port)) {
                const int made = ::socket(AF_INET, SOCK_STREAM, 0);
                const bool ok = ::connect(made, address->ai_addr, address->ai_addrlen) == 0;
                ::freeaddrinfo(address);
                if (ok) {
                    return made;
                }
                ::close(made);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{200});
        }
        throw std::runtime_error{"no connection to rank 0 at " + host + ':' + port};
    }
    void accept_others(const std::string& port) {
        addrinfo* address = resolved(nullptr, port);
        const int door = ::socket(AF_INET, SOCK_STREAM, 0);
        const int on = 1;
        ::setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (address == nullptr || ::bind(door, address->ai_addr, address->ai_addrlen) != 0 ||
            ::listen(door, size_) != 0) {
            throw std::runtime_error{"can not listen on port " + port};
        }
        ::freeaddrinfo(address);
        while (static_cast<int>(peers_.size()) + 1 < size_) {
            peers_.push_back(::accept(door, nullptr, nullptr));
        }
        ::close(door);
    }
    static void send(int peer, const Values& values) {
        if (::send(peer, values.data(), sizeof values, MSG_NOSIGNAL) != sizeof values) {
            throw std::runtime_error{"a rank is gone"};
        }
    }
    static Values received(int peer) {
        Values values{};
        if (::recv(peer, values.data(), sizeof values, MSG_WAITALL) != sizeof values) {
            throw std::runtime_error{"a rank is gone"};
        }
        return values;
    }

    int size_;
    bool is_main_ = true;
    std::vector<int> peers_ = {};
};

/// Fits price = a * area + b to this rank's rows of examples/data/houses.csv.
int train(const fairing::Worker& self) {
    constexpr double rate = 0.1;
    std::vector<double> areas, prices;
    std::ifstream file{"examples/data/houses.csv"};
    std::string line;
    std::getline(file, line);  // the names of the columns
    for (int row = 0; std::getline(file, line); ++row) {
        if (row % self.world_size == self.rank) {
            areas.push_back(std::stod(line) / 100);
            prices.push_back(std::stod(line.substr(line.rfind(',') + 1)) / 100);
        }
    }
    std::cout << "rank " << self.rank << " of " << self.world_size << ": " << areas.size()
              << " rows" << std::endl;
    Group group{self};
    const auto count = static_cast<double>(areas.size());
    double slope = 0, offset = 0;
    for (int epoch = 1; epoch <= 20; ++epoch) {
        Values own{};
        for (std::size_t i = 0; i < areas.size(); ++i) {
            const double error = slope * areas[i] + offset - prices[i];
            own[0] += 2 * error * areas[i] / count;
            own[1] += 2 * error / count;
            own[2] += error * error / count;
        }
        const auto [slope_gradient, offset_gradient, loss] = group.average(own);
        slope -= rate * slope_gradient;
        offset -= rate * offset_gradient;
        std::cout << "epoch " << epoch << " loss " << loss << std::endl;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return fairing::run_main(argc, argv, train, [](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::FunctionPreprocessor{.input_files = {"examples/data/"}},
            fairing::AppendBuilder{
                .base_image = fairing::env("BASE", "scratch"),
                .registry = fairing::env("REGISTRY", "oci:build/distributed-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
