// The data of a training, batch by batch, through libtorch's own dataset and loader.
#pragma once

#include <torch/data/dataloader.h>
#include <torch/data/datasets/base.h>
#include <torch/data/datasets/map.h>
#include <torch/data/samplers/sequential.h>
#include <torch/data/transforms/collate.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace modelconform {

// One sample, or a batch of them: then every tensor has one more dimension, the first.
struct Sample {
  std::vector<at::Tensor> inputs;
  at::Tensor target;
};

// What the wire delivered, as torch.utils.data.TensorDataset gives it.
class TensorDataset : public torch::data::datasets::Dataset<TensorDataset, Sample> {
 public:
  explicit TensorDataset(Sample all) : all_(std::move(all)) {}

  Sample get(std::size_t index) override {
    const auto position = static_cast<std::int64_t>(index);
    Sample sample{{}, all_.target.select(0, position)};
    for (const at::Tensor& input : all_.inputs) sample.inputs.push_back(input.select(0, position));
    return sample;
  }

  std::optional<std::size_t> size() const override {
    return static_cast<std::size_t>(all_.target.size(0));
  }

 private:
  Sample all_;
};

// Samples to a batch, as Python's default collate_fn does it.
struct Stacked : torch::data::transforms::Collation<Sample> {
  Sample apply_batch(std::vector<Sample> samples) override {
    Sample batch;
    std::vector<at::Tensor> column;
    for (std::size_t i = 0; i < samples.front().inputs.size(); ++i) {
      column.clear();
      for (const Sample& sample : samples) column.push_back(sample.inputs[i]);
      batch.inputs.push_back(at::stack(column));
    }
    column.clear();
    for (const Sample& sample : samples) column.push_back(sample.target);
    batch.target = at::stack(column);
    return batch;
  }
};

// Batches in the order of the samples; after the last one, which may be smaller, the first again.
class Batches {
 public:
  Batches(Sample all, std::int64_t batch_size)
      : loader_(torch::data::make_data_loader<torch::data::samplers::SequentialSampler>(
            TensorDataset(std::move(all)).map(Stacked()),
            torch::data::DataLoaderOptions().batch_size(static_cast<std::size_t>(batch_size)))),
        position_(loader_->begin()) {}

  Sample next() {
    if (started_ && ++position_ == loader_->end()) position_ = loader_->begin();
    started_ = true;
    return *position_;
  }

 private:
  using Loader =
      torch::data::StatelessDataLoader<torch::data::datasets::MapDataset<TensorDataset, Stacked>,
                                       torch::data::samplers::SequentialSampler>;

  std::unique_ptr<Loader> loader_;
  torch::data::Iterator<Sample> position_;
  bool started_ = false;
};

}  // namespace modelconform
