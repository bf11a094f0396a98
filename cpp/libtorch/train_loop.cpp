#include "train_loop.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "batches.h"
#include "checkpoint.h"
#include "losses.h"
#include "optimizers.h"
#include "setup.h"
#include "values.h"

namespace modelconform {
namespace {

using c10::IValue;
using Named = Trainable::Named;

Sample to_device(const Sample& batch, const c10::Device& device) {
  Sample moved{{}, batch.target.to(device)};
  for (const at::Tensor& input : batch.inputs) moved.inputs.push_back(input.to(device));
  return moved;
}

// Forward and backward through one batch; returns the loss.
at::Tensor learn_from(const Sample& batch, Trainable& model, const Loss& loss_of) {
  const IValue output =
      model.forward(std::vector<IValue>(batch.inputs.begin(), batch.inputs.end()));
  const at::Tensor loss = loss_of(output, batch.target);
  check_loss(loss);
  loss.backward();
  return loss.detach();
}

Tree leaf(const at::Tensor& tensor) { return {Leaf{"", from_torch(tensor)}}; }

Dict dict_of(const Named& named) {
  Dict dict;
  for (const auto& [name, value] : named) {
    dict.items.emplace_back(name, value.defined() ? leaf(value) : Tree{None{}});
  }
  return dict;
}

Tree outputs_of(std::vector<std::pair<DictKey, Tree>> items) { return {Dict{std::move(items)}}; }

}  // namespace

Trained train(Trainable& model, const Training& training, const c10::Device& device) {
  const at::AutoGradMode with_gradients(true);
  share_threads();
  model.train(true);
  const Named parameters = model.parameters();
  std::vector<at::Tensor> values;
  for (const auto& [name, value] : parameters) values.push_back(value);

  const Loss loss_of = make_loss(training, device);
  Sample all{{}, to_torch(training.target, at::kCPU)};
  for (const auto& input : training.inputs) all.inputs.push_back(to_torch(input, at::kCPU));
  Batches batches(std::move(all), training.batch_size);

  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  at::manual_seed(static_cast<std::uint64_t>(training.seed));
  if (training.gradients) {
    const at::Tensor loss = learn_from(to_device(batches.next(), device), model, loss_of);
    Named gradients;
    for (const auto& [name, value] : parameters) gradients.emplace_back(name, value.grad());
    return {seconds(), outputs_of({{"loss", leaf(loss)}, {"gradients", Tree{dict_of(gradients)}}})};
  }

  const Optimizer optimizer = make_optimizer(training, values);
  std::int64_t step = 0;
  if (training.resume) {
    read_checkpoint(*training.resume, model, optimizer, device);
    for (; step < training.resume->step; ++step) batches.next();
  }
  std::vector<at::Tensor> losses;
  while (step < training.steps) {
    const Sample batch = to_device(batches.next(), device);
    optimizer.optimizer->zero_grad();
    losses.push_back(learn_from(batch, model, loss_of));
    optimizer.optimizer->step();
    ++step;
    if (training.checkpoint && training.checkpoint->step == step) {
      write_checkpoint({step, training.checkpoint->file}, model, optimizer);
    }
  }
  const at::Tensor curve = losses.empty() ? at::empty({0}) : at::stack(losses);
  return {seconds(), outputs_of({{"loss", leaf(curve)},
                                 {"parameters", Tree{dict_of(parameters)}},
                                 {"buffers", Tree{dict_of(model.buffers())}}})};
}

}  // namespace modelconform
