// Classifies a picture. The model says how a picture is prepared (`inlay convert --image …`), so raw pixels will do.
//   classify_cpp model.inlay picture.ppm labels.txt
#include <inlay/inlay.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "usage: %s model.inlay picture.ppm labels.txt\n", argv[0]), 2;
  std::ifstream file(argv[2], std::ios::binary);
  std::string magic;
  int width = 0, height = 0, levels = 0;
  file >> magic >> width >> height >> levels;
  file.get();
  if (!file || magic != "P6" || levels != 255 || width < 1 || height < 1 || width > 20000 || height > 20000)
    return std::fprintf(stderr, "%s is not a binary PPM of 8 bits\n", argv[2]), 1;
  std::vector<uint8_t> pixels(size_t(width) * size_t(height) * 3);
  if (!file.read(reinterpret_cast<char*>(pixels.data()), std::streamsize(pixels.size())))
    return std::fprintf(stderr, "%s ends early\n", argv[2]), 1;
  std::vector<std::string> labels;
  std::ifstream names(argv[3]);
  for (std::string line; std::getline(names, line);) labels.push_back(line);

  const inlay::Model model = inlay::Model::load(argv[1]);
  inlay::Session session(model);
  inlay_picture picture{};
  picture.data = pixels.data(), picture.width = width, picture.height = height, picture.format = INLAY_RGB;
  session.set_picture(0, picture);
  const inlay::TensorView out = session.run()[0];

  const float* score = out.as<float>();
  std::vector<size_t> best(size_t(out.elements()));
  std::iota(best.begin(), best.end(), size_t(0));
  std::sort(best.begin(), best.end(), [&](size_t a, size_t b) { return score[a] > score[b]; });
  for (size_t i = 0; i < std::min<size_t>(3, best.size()); ++i)
    std::printf("%.4f  %s\n", double(score[best[i]]), best[i] < labels.size() ? labels[best[i]].c_str() : "?");
} catch (const inlay::Error& e) {
  return std::fprintf(stderr, "%s\n", e.what()), 1;
}
