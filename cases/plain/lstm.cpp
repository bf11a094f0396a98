// See lstm.py: torch::nn's own module. Its state is an argument that may be left out.
#include <modelconform/frontend.h>

MODELCONFORM_MODEL(
    torch::nn::LSTM,
    torch::nn::LSTMOptions(16, 32).num_layers(2).bidirectional(true).batch_first(true))
