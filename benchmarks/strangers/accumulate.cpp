// Sums of products in float32, in an order that is asked for: what a faithful runtime may do, one
// rounding at a time.
//
// A tile of outputs is computed at once, each in an accumulator of its own, so that the order of
// one output's products is exactly the order of the loops here. Compiled twice: without
// contraction, so that each product is rounded, and with it, so that each is fused with its sum.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

constexpr std::int64_t ROWS = 4;
constexpr std::int64_t COLUMNS = 16;

// How the products of one output are added. LANES: `length` accumulators take them in turn, as SIMD
// lanes do, and are then added in pairs. BLOCKED: blocks of `length` are added up from 0, and their
// sums in order. PAIRWISE: halves of what is longer than `length`.
enum Kind : std::int32_t { SEQUENTIAL = 0, BLOCKED = 1, PAIRWISE = 2, LANES = 3 };

using Row = float __attribute__((vector_size(COLUMNS * sizeof(float))));

struct Tile {
  Row rows[ROWS];

  void add(const Tile& other) {
    for (std::int64_t row = 0; row < ROWS; ++row) {
      rows[row] += other.rows[row];
    }
  }
};

// One row of tiles against one column of tiles; both are packed, product by product.
struct Strip {
  const float* left;  // [products][ROWS]
  const Row* right;   // [products]
};

// Adds the products begin, begin + step, … below end to a tile, one after another.
Tile accumulated(const Strip& strip, std::int64_t begin, std::int64_t end, std::int64_t step,
                 const Tile& start) {
  Row first = start.rows[0];
  Row second = start.rows[1];
  Row third = start.rows[2];
  Row fourth = start.rows[3];
  for (std::int64_t k = begin; k < end; k += step) {
    const float* left = strip.left + k * ROWS;
    const Row right = strip.right[k];
    first = left[0] * right + first;
    second = left[1] * right + second;
    third = left[2] * right + third;
    fourth = left[3] * right + fourth;
  }
  return {{first, second, third, fourth}};
}

Tile pairwise(const Strip& strip, std::int64_t begin, std::int64_t end, std::int64_t length) {
  if (end - begin <= length) {
    return accumulated(strip, begin, end, 1, Tile{});
  }
  const std::int64_t middle = begin + (end - begin) / 2;
  Tile sum = pairwise(strip, begin, middle, length);
  sum.add(pairwise(strip, middle, end, length));
  return sum;
}

Tile lanes(const Strip& strip, std::int64_t products, std::int64_t length) {
  std::vector<Tile> sums;
  for (std::int64_t lane = 0; lane < length; ++lane) {
    sums.push_back(accumulated(strip, lane, products, length, Tile{}));
  }
  for (std::size_t count = sums.size(); count > 1; count = (count + 1) / 2) {
    for (std::size_t i = 0; i < count / 2; ++i) {
      sums[i].add(sums[count - 1 - i]);
    }
  }
  return sums.front();
}

// The sum of all products, added to what is in `tile`.
void add_up(const Strip& strip, std::int64_t products, Kind kind, std::int64_t length, Tile& tile) {
  switch (kind) {
    case SEQUENTIAL:
      tile = accumulated(strip, 0, products, 1, tile);
      return;
    case BLOCKED:
      for (std::int64_t begin = 0; begin < products; begin += length) {
        tile.add(accumulated(strip, begin, std::min(begin + length, products), 1, Tile{}));
      }
      return;
    case PAIRWISE:
      tile.add(pairwise(strip, 0, products, length));
      return;
    case LANES:
      tile.add(lanes(strip, products, std::min(length, products)));
      return;
  }
}

}  // namespace

extern "C" {

// A matrix of a batch of matrices; strides in elements. Matrix i of the batch is number i % count.
struct Matrix {
  const float* data;
  std::int64_t count;
  std::int64_t batch_stride;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

// out[i] = start[i] + left[i] · right[i], where `out` is dense, (batch, rows, columns). Without
// data, start is 0. reversed: the last product comes first. products is at least 1, length too.
void modelconform_products(const Matrix* left, const Matrix* right, const Matrix* start, float* out,
                           std::int64_t batch, std::int64_t rows, std::int64_t products,
                           std::int64_t columns, std::int32_t kind, std::int64_t length,
                           std::int32_t reversed) {
  const std::int64_t row_tiles = (rows + ROWS - 1) / ROWS;
  std::vector<float> left_packed(static_cast<std::size_t>(row_tiles * products * ROWS));
  std::vector<Row> right_packed(static_cast<std::size_t>(products));
  for (std::int64_t i = 0; i < batch; ++i) {
    const float* a = left->data + (i % left->count) * left->batch_stride;
    const float* b = right->data + (i % right->count) * right->batch_stride;
    const float* c =
        start->data != nullptr ? start->data + (i % start->count) * start->batch_stride : nullptr;
    if (i == 0 || left->count > 1) {
      for (std::int64_t row = 0; row < row_tiles * ROWS; ++row) {
        // Rows beyond the last one repeat it; nobody reads what comes of them.
        const float* source = a + std::min(row, rows - 1) * left->row_stride;
        float* target = left_packed.data() + (row / ROWS) * products * ROWS + row % ROWS;
        for (std::int64_t k = 0; k < products; ++k) {
          target[k * ROWS] = source[(reversed ? products - 1 - k : k) * left->column_stride];
        }
      }
    }
    for (std::int64_t column = 0; column < columns; column += COLUMNS) {
      const std::int64_t width = std::min(COLUMNS, columns - column);
      for (std::int64_t k = 0; k < products; ++k) {
        const float* source = b + (reversed ? products - 1 - k : k) * right->row_stride;
        for (std::int64_t j = 0; j < COLUMNS; ++j) {
          right_packed[static_cast<std::size_t>(k)][j] =
              source[(column + std::min(j, width - 1)) * right->column_stride];
        }
      }
      for (std::int64_t row = 0; row < rows; row += ROWS) {
        const std::int64_t height = std::min(ROWS, rows - row);
        Tile tile{};
        if (c != nullptr) {
          for (std::int64_t r = 0; r < height; ++r) {
            for (std::int64_t j = 0; j < width; ++j) {
              tile.rows[r][j] =
                  c[(row + r) * start->row_stride + (column + j) * start->column_stride];
            }
          }
        }
        const Strip strip{left_packed.data() + row * products, right_packed.data()};
        add_up(strip, products, static_cast<Kind>(kind), length, tile);
        for (std::int64_t r = 0; r < height; ++r) {
          for (std::int64_t j = 0; j < width; ++j) {
            out[(i * rows + row + r) * columns + column + j] = tile.rows[r][j];
          }
        }
      }
    }
  }
}

}  // extern "C"
