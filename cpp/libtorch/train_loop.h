// Trains a model with libtorch's optimizers, losses and data loader.
#pragma once

#include <c10/core/Device.h>

#include "../harness/training.h"
#include "trainable.h"

namespace modelconform {

Trained train(Trainable& model, const Training& training, const c10::Device& device);

}  // namespace modelconform
