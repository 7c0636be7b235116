// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.train;

import java.util.ArrayList;
import java.util.List;

/** The 161 parameters of ResNet-50 (He et al. 2015, as torchvision names them): 25,557,032 elements. */
final class ResNet50 {
    /** A parameter's name and its number of elements. */
    record Parameter(String name, int length) {}

    private static final int[] BLOCKS = {3, 4, 6, 3};

    private final List<Parameter> parameters = new ArrayList<>();

    private ResNet50() {}

    static List<Parameter> parameters() {
        ResNet50 net = new ResNet50();
        net.convolution("conv1", 3, 64, 7);
        net.batchNorm("bn1", 64);
        int in = 64;
        for (int stage = 0; stage < BLOCKS.length; stage++) {
            int width = 64 << stage;
            for (int block = 0; block < BLOCKS[stage]; block++) {
                net.bottleneck("layer" + (stage + 1) + "." + block, in, width, block == 0);
                in = 4 * width;
            }
        }
        net.add("fc.weight", in * 1000);
        net.add("fc.bias", 1000);
        return List.copyOf(net.parameters);
    }

    private void bottleneck(String name, int in, int width, boolean downsample) {
        convolution(name + ".conv1", in, width, 1);
        batchNorm(name + ".bn1", width);
        convolution(name + ".conv2", width, width, 3);
        batchNorm(name + ".bn2", width);
        convolution(name + ".conv3", width, 4 * width, 1);
        batchNorm(name + ".bn3", 4 * width);
        if (downsample) {
            convolution(name + ".downsample.0", in, 4 * width, 1);
            batchNorm(name + ".downsample.1", 4 * width);
        }
    }

    private void convolution(String name, int in, int out, int kernel) {
        add(name + ".weight", in * out * kernel * kernel);
    }

    private void batchNorm(String name, int channels) {
        add(name + ".weight", channels);
        add(name + ".bias", channels);
    }

    private void add(String name, int length) {
        parameters.add(new Parameter(name, length));
    }
}
