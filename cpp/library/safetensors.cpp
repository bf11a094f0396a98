#include "safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>

#include "numbers.h"

namespace modelconform {
namespace {

using Json = nlohmann::json;

// How a dtype is called in a file.
struct StoredRow {
  DType dtype;
  // As it is written. Complex numbers and float8 go under other names, because safetensors readers
  // of old environments don't know them; `own` is the name newer files may use.
  std::string_view stored;
  std::string_view own;
};

constexpr std::array kStored{
    StoredRow{DType::kBool, "BOOL", "BOOL"},
    StoredRow{DType::kUInt8, "U8", "U8"},
    StoredRow{DType::kInt8, "I8", "I8"},
    StoredRow{DType::kUInt16, "U16", "U16"},
    StoredRow{DType::kInt16, "I16", "I16"},
    StoredRow{DType::kUInt32, "U32", "U32"},
    StoredRow{DType::kInt32, "I32", "I32"},
    StoredRow{DType::kUInt64, "U64", "U64"},
    StoredRow{DType::kInt64, "I64", "I64"},
    StoredRow{DType::kFloat16, "F16", "F16"},
    StoredRow{DType::kBFloat16, "BF16", "BF16"},
    StoredRow{DType::kFloat32, "F32", "F32"},
    StoredRow{DType::kFloat64, "F64", "F64"},
    StoredRow{DType::kComplex64, "F32", "C64"},
    StoredRow{DType::kComplex128, "F64", "C128"},
    StoredRow{DType::kFloat8E4M3FN, "U8", "F8_E4M3"},
    StoredRow{DType::kFloat8E5M2, "U8", "F8_E5M2"},
};

const StoredRow& row_of(DType dtype) { return kStored.at(static_cast<std::size_t>(dtype)); }

// ---- Reading -----------------------------------------------------------------------------------

// The format's own limit. A header is read into memory before anything of it is known to be true.
constexpr std::uint64_t kLargestHeader = 100'000'000;
constexpr std::size_t kLengthBytes = 8;
// Header, tensor, shape: 3 are needed. Deeper values end the stacks of parsers and printers.
constexpr int kDeepest = 16;
// What a tensor may take in bytes, its empty dimensions counted as 1, so that strides fit, too.
constexpr std::uint64_t kLargestTensor = std::numeric_limits<std::int64_t>::max();

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  std::map<std::string, Tensor> read() {
    map_file();
    return read_mapped();
  }

  std::map<std::string, Tensor> read(std::span<const std::byte> bytes,
                                     std::shared_ptr<const void> owner) {
    bytes_ = bytes.data();
    size_ = bytes.size();
    owner_ = std::move(owner);
    return read_mapped();
  }

 private:
  std::map<std::string, Tensor> read_mapped() {
    check_length();
    const std::uint64_t header_size = read_header_size();
    const Json header =
        parse(std::string_view(reinterpret_cast<const char*>(bytes_ + kLengthBytes), header_size),
              "its header");
    const std::byte* data = bytes_ + kLengthBytes + header_size;
    const std::size_t data_size = size_ - kLengthBytes - header_size;

    const Json extras = read_extras(header);
    std::map<std::string, Tensor> tensors;
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    for (const auto& [key, entry] : header.items()) {
      if (key == "__metadata__") continue;
      const auto [begin, end] = read_range(key, entry, data_size);
      ranges.emplace_back(begin, end);
      Tensor tensor = read_entry(key, entry, extras, end - begin);
      tensor.data = data + begin;
      tensor.owner = owner_;
      tensors.emplace(key, std::move(tensor));
    }
    for (const auto& [key, _] : extras.items()) {
      if (!tensors.contains(key))
        fail("its metadata describes '" + key + "', which it doesn't hold");
    }
    check_covering(std::move(ranges), data_size);
    return tensors;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw TensorFileError("tensor file " + path_ + ": " + what);
  }

  void map_file() {
    const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) fail(std::string("cannot be opened: ") + std::strerror(errno));
    struct stat status{};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(file);
      fail("is not a plain file");
    }
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) {  // which can't be mapped
      ::close(file);
      check_length();
    }
    void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    const int problem = errno;
    ::close(file);
    if (mapping == MAP_FAILED) fail(std::string("cannot be mapped: ") + std::strerror(problem));
    bytes_ = static_cast<const std::byte*>(mapping);
    owner_ = std::shared_ptr<const void>(mapping, [size = size_](void* at) { ::munmap(at, size); });
  }

  void check_length() const {
    if (size_ < kLengthBytes) {
      fail("is truncated: " + std::to_string(size_) + " bytes, less than the length of a header");
    }
  }

  std::uint64_t read_header_size() const {
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
      size |= std::to_integer<std::uint64_t>(bytes_[i]) << (8 * i);
    }
    if (size > kLargestHeader) {
      fail("announces a header of " + std::to_string(size) + " bytes; the largest allowed is " +
           std::to_string(kLargestHeader));
    }
    if (size > size_ - kLengthBytes) {
      fail("is truncated: announces a header of " + std::to_string(size) + " bytes, has " +
           std::to_string(size_ - kLengthBytes) + " after its length");
    }
    return size;
  }

  // An object in JSON. What parsers read differently is refused: a key given twice, and what
  // follows a zero byte, which to this parser is the end of the text.
  Json parse(std::string_view text, const std::string& what) const {
    std::vector<std::set<std::string>> keys;
    const auto look = [&](int depth, Json::parse_event_t event, const Json& parsed) {
      const bool is_object = event == Json::parse_event_t::object_start;
      if (is_object) keys.emplace_back();
      if ((is_object || event == Json::parse_event_t::array_start) && depth >= kDeepest) {
        fail(what + " is nested deeper than " + std::to_string(kDeepest));
      }
      if (event == Json::parse_event_t::object_end) keys.pop_back();
      if (event == Json::parse_event_t::key &&
          !keys.back().insert(parsed.get_ref<const std::string&>()).second) {
        fail(what + " has the key " + parsed.dump() + " twice");
      }
      return true;
    };
    Json json(Json::value_t::discarded);
    if (text.starts_with('{') && text.find('\0') == std::string_view::npos) {
      json = Json::parse(text, look, /*allow_exceptions=*/false);
    }
    if (!json.is_object()) fail(what + " isn't a JSON object");
    return json;
  }

  // What safetensors can't say: {KEY: {"dtype": ..., "order": [...]}}.
  Json read_extras(const Json& header) const {
    const auto metadata = header.find("__metadata__");
    if (metadata == header.end()) return Json::object();
    if (!metadata->is_object()) fail("its __metadata__ isn't a JSON object");
    const auto ours = metadata->find("modelconform");
    if (ours == metadata->end()) return Json::object();
    if (!ours->is_string()) fail("its metadata 'modelconform' isn't text");
    Json extras = parse(ours->get_ref<const std::string&>(), "its metadata 'modelconform'");
    for (const auto& [key, entry] : extras.items()) {
      if (!entry.is_object()) fail("its metadata of '" + key + "' isn't a JSON object");
    }
    return extras;
  }

  std::vector<std::uint64_t> read_numbers(const std::string& key, const Json& entry,
                                          const char* field) const {
    const auto numbers = entry.find(field);
    if (numbers == entry.end() || !numbers->is_array()) {
      fail("tensor '" + key + "' has no list '" + field + "'");
    }
    std::vector<std::uint64_t> result;
    for (const Json& number : *numbers) {
      // A negative number, a fraction or one beyond 64 bits is something else to the parser.
      if (!number.is_number_unsigned() ||
          number.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        fail("tensor '" + key + "': '" + field + "' holds " + number.dump() +
             ", which is no size (0, 1, ... below 2^63)");
      }
      result.push_back(number.get<std::uint64_t>());
    }
    return result;
  }

  std::pair<std::size_t, std::size_t> read_range(const std::string& key, const Json& entry,
                                                 std::size_t data_size) const {
    if (!entry.is_object()) fail("tensor '" + key + "' isn't a JSON object");
    const auto offsets = read_numbers(key, entry, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
      fail("tensor '" + key + "': 'data_offsets' isn't [begin, end]");
    }
    if (offsets[1] > data_size) {
      fail("is truncated: tensor '" + key + "' ends at byte " + std::to_string(offsets[1]) +
           " of the data, which has " + std::to_string(data_size));
    }
    return {offsets[0], offsets[1]};
  }

  Tensor read_entry(const std::string& key, const Json& entry, const Json& extras,
                    std::size_t bytes) const {
    Tensor tensor;
    const auto extra = extras.find(key);
    const auto stored = entry.find("dtype");
    if (stored == entry.end() || !stored->is_string()) fail("tensor '" + key + "' has no dtype");
    const auto& stored_name = stored->get_ref<const std::string&>();
    const auto plain = std::find_if(kStored.begin(), kStored.end(),
                                    [&](const StoredRow& row) { return row.own == stored_name; });
    if (plain == kStored.end()) {
      fail("tensor '" + key + "' has the dtype " + stored_name +
           ", which this reader doesn't know");
    }
    tensor.dtype = plain->dtype;
    for (const std::uint64_t size : read_numbers(key, entry, "shape")) {
      tensor.shape.push_back(static_cast<std::int64_t>(size));
    }
    check_bytes(key, tensor.shape, element_size(plain->dtype), bytes);

    if (extra == extras.end()) return tensor;
    if (extra->contains("dtype")) apply_dtype(key, extra->at("dtype"), stored_name, tensor);
    if (extra->contains("order")) apply_order(key, extra->at("order"), tensor);
    return tensor;
  }

  void check_bytes(const std::string& key, const Shape& shape, std::size_t element,
                   std::size_t bytes) const {
    // Files may claim anything: nothing is multiplied without a look at what comes out.
    std::uint64_t most = element;
    for (const std::int64_t size : shape) {
      const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
      if (most > kLargestTensor / factor) {
        fail("tensor '" + key + "' of shape " + shape_text(shape) + " overflows");
      }
      most *= factor;
    }
    const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    const std::uint64_t expected = empty ? 0 : most;
    if (expected != bytes) {
      fail("tensor '" + key + "' of shape " + shape_text(shape) + " needs " +
           std::to_string(expected) + " bytes, its 'data_offsets' give " + std::to_string(bytes));
    }
  }

  void apply_dtype(const std::string& key, const Json& name, const std::string& stored_name,
                   Tensor& tensor) const {
    const auto named = std::find_if(kStored.begin(), kStored.end(), [&](const StoredRow& row) {
      return name.is_string() && dtype_name(row.dtype) == name.get_ref<const std::string&>();
    });
    if (named == kStored.end()) {
      fail("tensor '" + key + "': its metadata names the dtype " + name.dump() +
           ", which this reader doesn't know");
    }
    if (named->stored != stored_name) {
      fail("tensor '" + key + "' is " + std::string(dtype_name(named->dtype)) +
           " by its metadata, but stored as " + stored_name);
    }
    if (is_complex(named->dtype)) {
      if (tensor.shape.empty() || tensor.shape.back() != 2) {
        fail("tensor '" + key + "' is complex, but its last dimension isn't 2");
      }
      tensor.shape.pop_back();
    }
    tensor.dtype = named->dtype;
  }

  void apply_order(const std::string& key, const Json& order, Tensor& tensor) const {
    Shape sorted;
    if (order.is_array()) {
      for (const Json& dimension : order) {
        if (dimension.is_number_unsigned()) tensor.order.push_back(dimension.get<std::int64_t>());
      }
      sorted = tensor.order;
      std::sort(sorted.begin(), sorted.end());
    }
    if (!order.is_array() || sorted != row_major(tensor.shape.size()) ||
        order.size() != tensor.shape.size()) {
      fail("tensor '" + key + "': its metadata's order " + order.dump() +
           " doesn't name each dimension of " + shape_text(tensor.shape) + " once");
    }
  }

  // Each byte belongs to one tensor: an overlap or a hole is a sign of a broken writer.
  void check_covering(std::vector<std::pair<std::size_t, std::size_t>> ranges,
                      std::size_t data_size) const {
    std::sort(ranges.begin(), ranges.end());
    std::size_t end_of_last = 0;
    for (const auto& [begin, end] : ranges) {
      if (begin < end_of_last) fail("two of its tensors overlap at byte " + std::to_string(begin));
      if (begin > end_of_last) {
        fail("bytes " + std::to_string(end_of_last) + " to " + std::to_string(begin) +
             " of its data belong to no tensor");
      }
      end_of_last = end;
    }
    if (end_of_last != data_size) {
      fail("the last " + std::to_string(data_size - end_of_last) +
           " bytes of its data belong to no tensor");
    }
  }

  std::string path_;
  std::size_t size_ = 0;
  const std::byte* bytes_ = nullptr;
  std::shared_ptr<const void> owner_;
};

// An output stream that keeps the reason of a failed write, such as a full disk.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path)
      : path_(path), file_(std::fopen(path.c_str(), "wb")) {
    if (file_ == nullptr) fail();
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    if (file_ != nullptr) std::fclose(file_);
  }

  void write(const void* bytes, std::size_t size) {
    if (size > 0 && std::fwrite(bytes, 1, size, file_) != size) fail();
  }

  void close() {
    std::FILE* file = std::exchange(file_, nullptr);
    if (std::fclose(file) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    throw TensorFileError("tensor file " + path_ + ": cannot be written: " + std::strerror(errno));
  }

  std::string path_;
  std::FILE* file_;
};

}  // namespace

std::map<std::string, Tensor> read_tensors(const std::string& path) { return Reader(path).read(); }

std::map<std::string, Tensor> parse_tensors(const std::string& name,
                                            std::span<const std::byte> bytes,
                                            std::shared_ptr<const void> owner) {
  return Reader(name).read(bytes, std::move(owner));
}

void write_tensors(const std::string& path, std::vector<std::pair<std::string, Tensor>> tensors) {
  static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");
  // The widest elements first, so that each tensor is aligned for readers that map the file.
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return element_size(a.second.dtype) > element_size(b.second.dtype);
  });
  Json header = Json::object();
  Json extras = Json::object();
  std::size_t offset = 0;
  for (const auto& [key, tensor] : tensors) {
    const StoredRow& row = row_of(tensor.dtype);
    Shape stored_shape = tensor.shape;
    if (is_complex(tensor.dtype)) stored_shape.push_back(2);
    const std::size_t size = tensor.size_in_bytes();
    header[key] = {
        {"dtype", row.stored}, {"shape", stored_shape}, {"data_offsets", {offset, offset + size}}};
    offset += size;
    if (row.stored != row.own) extras[key]["dtype"] = dtype_name(row.dtype);
    if (!tensor.order.empty()) extras[key]["order"] = tensor.order;
  }
  if (!extras.empty()) header["__metadata__"] = {{"modelconform", extras.dump()}};

  std::string header_text = header.dump();
  header_text.resize((header_text.size() + 7) / 8 * 8, ' ');
  std::array<unsigned char, kLengthBytes> length{};
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length[i] = static_cast<unsigned char>(header_text.size() >> (8 * i));
  }
  OutputFile file(path);
  file.write(length.data(), length.size());
  file.write(header_text.data(), header_text.size());
  for (const auto& [_, tensor] : tensors) file.write(tensor.data, tensor.size_in_bytes());
  file.close();
}

}  // namespace modelconform
