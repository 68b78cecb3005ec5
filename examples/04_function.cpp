// One C++ program at both ends: here it launches, in the job it trains. What travels is the program
// itself with the shared libraries that it needs. By default the job is a process of this machine;
// with REGISTRY=registry.example:5000/team and BASE=debian:12-slim it is a real image.
#include <cmath>
#include <fairing.hpp>
#include <fstream>
#include <string>

namespace {

constexpr double rate = 0.1;

/// Fits price = a * area + b to examples/data/houses.csv by gradient descent.
int train(const fairing::Worker& self) {
    std::cout << "rank " << self.rank << " of " << self.world_size << '\n';
    std::vector<double> areas, prices;
    std::ifstream file{"examples/data/houses.csv"};
    std::string line;
    std::getline(file, line);  // the names of the columns
    while (std::getline(file, line)) {
        areas.push_back(std::stod(line) / 100);
        prices.push_back(std::stod(line.substr(line.rfind(',') + 1)) / 100);
    }
    const auto count = static_cast<double>(areas.size());
    const int epochs = self.arguments.empty() ? 20 : std::stoi(self.arguments.front());
    double slope = 0, offset = 0, loss = 0;
    for (int epoch = 1; epoch <= epochs; ++epoch) {
        double slope_gradient = 0, offset_gradient = 0;
        loss = 0;
        for (std::size_t i = 0; i < areas.size(); ++i) {
            const double error = slope * areas[i] + offset - prices[i];
            loss += error * error / count;
            slope_gradient += 2 * error * areas[i] / count;
            offset_gradient += 2 * error / count;
        }
        slope -= rate * slope_gradient;
        offset -= rate * offset_gradient;
        std::cout << "epoch " << epoch << " loss " << loss << '\n';
    }
    return std::isfinite(loss) && !areas.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    return fairing::run_main(argc, argv, train, [](const fairing::Session& session) {
        const fairing::Fairing launcher{
            fairing::FunctionPreprocessor{.arguments = {"30"}, .input_files = {"examples/data/"}},
            fairing::AppendBuilder{
                .base_image = fairing::env("BASE", "scratch"),
                .registry = fairing::env("REGISTRY", "oci:build/function-image")},
            fairing::LocalDeployer{}};
        launcher.run(session);
    });
}
