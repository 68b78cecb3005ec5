// A project of somebody else that uses the library. Packages one file on scratch into an image
// layout, no network.
#include <fairing.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: consumer NEW_FOLDER\n";
        return 64;
    }
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    std::ofstream{folder / "hello.py"} << "print('hello')\n";
    std::filesystem::current_path(folder);

    const fairing::Fairing packager{
        fairing::PythonPreprocessor{.executable = "hello.py"},
        fairing::AppendBuilder{.base_image = "scratch", .registry = "oci:image"}};
    const fairing::Image image = packager.build();
    std::cout << image.digest << '\n';
    return image.digest.starts_with("sha256:") && std::filesystem::exists("image/index.json") ? 0
                                                                                              : 1;
}
