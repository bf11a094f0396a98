// Runs a fuzz target without libFuzzer, for compilers that don't have it: seeds from a folder,
// mutated at random. The same seeds, number and compiler give the same inputs.
//
//   fuzz-safetensors SEEDS [--seconds 30] [--runs N] [--seed 1] [--crash crash.bin]
//   fuzz-safetensors FILE        one input as it is, such as one that was saved
//
// The input that ends the process is saved.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// There with a sanitizer only: called before it ends the process.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kLargestInput = 1 << 16;
// No input takes as long as this.
constexpr unsigned kPatience = 20;

struct Options {
  std::filesystem::path seeds;
  double seconds = 30;
  std::uint64_t runs = ~std::uint64_t{0};
  std::uint64_t seed = 1;
  std::string crash = "crash.bin";
};

// What was being run when the process ended; plain memory, as a signal handler reads it.
const std::uint8_t* current = nullptr;
std::size_t current_size = 0;
std::string crash_path;

void save_current() {
  if (current == nullptr) return;
  const int file = ::open(crash_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0 && ::write(file, current, current_size) >= 0) {
    constexpr std::string_view kSaved = "the input that did this is saved\n";
    [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, kSaved.data(), kSaved.size());
  }
  current = nullptr;
}

void on_signal(int number) {
  save_current();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

// ---- Inputs ------------------------------------------------------------------------------------

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Bytes> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> seeds;
  for (const auto& path : paths) {
    if (std::filesystem::file_size(path) <= kLargestInput) seeds.push_back(read_file(path));
  }
  if (seeds.empty()) throw std::runtime_error("no seeds in " + folder.string());
  return seeds;
}

class Mutator {
 public:
  Mutator(std::vector<Bytes> seeds, std::uint64_t seed) : seeds_(std::move(seeds)), random_(seed) {}

  Bytes next() {
    Bytes input = seeds_[below(seeds_.size())];
    for (std::size_t n = 1 + below(4); n > 0; --n) mutate(input);
    if (input.size() > kLargestInput) input.resize(kLargestInput);
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  // Most inputs keep a length that fits their header: else little but that length is ever tested.
  void mutate(Bytes& input) {
    if (input.size() < kLengthBytes || below(8) == 0) return change(input);
    std::uint64_t length = 0;
    for (std::size_t i = kLengthBytes; i > 0; --i) length = length << 8 | input[i - 1];
    length = std::min<std::uint64_t>(length, input.size() - kLengthBytes);
    const auto middle = input.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + length);
    Bytes header(input.begin() + kLengthBytes, middle);
    Bytes data(middle, input.end());
    change(below(5) == 0 ? data : header);
    input.assign(kLengthBytes, 0);
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
      input[i] = static_cast<std::uint8_t>(std::uint64_t{header.size()} >> (8 * i));
    }
    input.insert(input.end(), header.begin(), header.end());
    input.insert(input.end(), data.begin(), data.end());
  }

  void change(Bytes& bytes) {
    const std::size_t at = below(bytes.size() + 1);
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto to = from + static_cast<std::ptrdiff_t>(below(std::min<std::size_t>(
                               bytes.size() - at + 1, below(8) == 0 ? bytes.size() + 1 : 9)));
    switch (below(7)) {
      case 0:
        if (from != bytes.end()) *from ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 1:
        if (from != bytes.end()) *from = static_cast<std::uint8_t>(random_());
        break;
      case 2:
        bytes.erase(from, to);
        break;
      case 3: {
        const Bytes part(from, to);
        bytes.insert(from, part.begin(), part.end());
        break;
      }
      case 4: {  // a part of another input
        const Bytes& other = seeds_[below(seeds_.size())];
        const std::size_t begin = below(other.size() + 1);
        const std::size_t end = begin + below(other.size() - begin + 1);
        bytes.insert(from, other.begin() + static_cast<std::ptrdiff_t>(begin),
                     other.begin() + static_cast<std::ptrdiff_t>(end));
        break;
      }
      case 5: {
        const std::string_view word = kWords[below(kWords.size())];
        bytes.insert(from, word.begin(), word.end());
        break;
      }
      default:
        replace_number(bytes, at);
    }
  }

  // The first number from here on by another one.
  void replace_number(Bytes& bytes, std::size_t at) {
    const auto is_digit = [](std::uint8_t byte) { return byte >= '0' && byte <= '9'; };
    const auto from =
        std::find_if(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end(), is_digit);
    const auto to = std::find_if_not(from, bytes.end(), is_digit);
    const std::string_view number = kNumbers[below(kNumbers.size())];
    const auto where = bytes.erase(from, to);
    bytes.insert(where, number.begin(), number.end());
  }

  static constexpr std::array<std::string_view, 21> kNumbers{"0",
                                                             "1",
                                                             "2",
                                                             "3",
                                                             "4",
                                                             "8",
                                                             "16",
                                                             "-1",
                                                             "-0",
                                                             "1.0",
                                                             "1e3",
                                                             "255",
                                                             "65536",
                                                             "2147483647",
                                                             "4294967295",
                                                             "4294967296",
                                                             "4611686018427387904",
                                                             "9223372036854775807",
                                                             "9223372036854775808",
                                                             "18446744073709551615",
                                                             "18446744073709551616"};
  static constexpr std::array<std::string_view, 24> kWords{"{",
                                                           "}",
                                                           "[",
                                                           "]",
                                                           ",",
                                                           ":",
                                                           "\"",
                                                           "\\u0000",
                                                           "\\ud800",
                                                           "\xff",
                                                           "true",
                                                           "null",
                                                           "NaN",
                                                           "\"F32\"",
                                                           "\"U8\"",
                                                           "\"C64\"",
                                                           "\"BOOL\"",
                                                           "\"F8_E4M3\"",
                                                           "\"order\"",
                                                           "\"dtype\"",
                                                           "\"shape\"",
                                                           "\"data_offsets\"",
                                                           "\"__metadata__\"",
                                                           "\"modelconform\""};

  std::vector<Bytes> seeds_;
  std::mt19937_64 random_;
};

// ---- Running -----------------------------------------------------------------------------------

void run(const Bytes& input) {
  current = input.data();
  current_size = input.size();
  LLVMFuzzerTestOneInput(input.data(), input.size());
  current = nullptr;
}

std::uint64_t fuzz(const Options& options) {
  const std::vector<Bytes> seeds = read_seeds(options.seeds);
  for (const Bytes& seed : seeds) run(seed);
  Mutator mutator(seeds, options.seed);
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  std::uint64_t runs = 0;
  while (runs < options.runs && std::chrono::steady_clock::now() < end) {
    ::alarm(kPatience);
    const Bytes input = mutator.next();
    run(input);
    ++runs;
  }
  ::alarm(0);
  return runs;
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = [&] {
      if (i + 1 == words.size()) throw std::invalid_argument(words[i] + " takes a value");
      return words[++i];
    };
    if (words[i] == "--seconds") {
      options.seconds = std::stod(value());
    } else if (words[i] == "--runs") {
      options.runs = std::stoull(value());
    } else if (words[i] == "--seed") {
      options.seed = std::stoull(value());
    } else if (words[i] == "--crash") {
      options.crash = value();
    } else if (options.seeds.empty()) {
      options.seeds = words[i];
    } else {
      throw std::invalid_argument("unknown argument '" + words[i] + "'");
    }
  }
  if (options.seeds.empty()) throw std::invalid_argument("give a folder of seeds, or an input");
  return options;
}

}  // namespace

int main(int count, char** words) {
  try {
    const Options options = parse({words + 1, words + count});
    crash_path = options.crash;
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
      // A sanitizer's own handlers of faults stay: they say more.
      if (__sanitizer_set_death_callback == nullptr || number == SIGABRT || number == SIGALRM) {
        std::signal(number, on_signal);
      }
    }
    if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(save_current);
    if (std::filesystem::is_regular_file(options.seeds)) {
      run(read_file(options.seeds));
      std::printf("1 execution\n");
    } else {
      const std::uint64_t runs = fuzz(options);
      std::printf("%llu executions from seed %llu\n", static_cast<unsigned long long>(runs),
                  static_cast<unsigned long long>(options.seed));
    }
    return 0;
  } catch (const std::exception& error) {
    save_current();
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
