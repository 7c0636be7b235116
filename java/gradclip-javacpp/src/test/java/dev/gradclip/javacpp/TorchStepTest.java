// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.mse_loss;
import static org.bytedeco.pytorch.global.torch.randint;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.AdamUpdate;
import dev.gradclip.ClipRule;
import dev.gradclip.SgdUpdate;
import dev.gradclip.Update;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Adam;
import org.bytedeco.pytorch.AdamOptions;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A step beside LibTorch's clip and its optimizers, on the same gradients. */
@ExtendWith(Torch.class)
class TorchStepTest {
    private static final double RATE = 1e-2;

    @TempDir
    private Path folder = Path.of("");

    private static final List<Update> UPDATES = List.of(
            Update.adamW(RATE),
            Update.adam(RATE),
            Update.adam(RATE).withWeightDecay(0.01),
            Update.sgd(RATE),
            Update.sgd(RATE).withMomentum(0.9),
            Update.sgd(RATE).withMomentum(0.9).withNesterov().withWeightDecay(0.01));

    private static Optimizer optimizer(Update update, TensorVector parameters) {
        if (update instanceof SgdUpdate sgd) {
            SGDOptions options = new SGDOptions(RATE);
            options.momentum().put(sgd.momentum());
            options.weight_decay().put(sgd.weightDecay());
            options.nesterov().put(sgd.nesterov());
            return new SGD(parameters, options);
        }
        AdamUpdate adam = (AdamUpdate) update;
        if (adam.decoupled()) return new AdamW(parameters, new AdamWOptions(RATE));
        AdamOptions options = new AdamOptions(RATE);
        options.weight_decay().put(adam.weightDecay());
        return new Adam(parameters, options);
    }

    private static Tensor[] shapes() {
        torch.manual_seed(5);
        return new Tensor[] {randn(64, 3, 7, 7), randn(64), randn(128, 64), randn(1000, 33), randn(1)};
    }

    private static TensorVector parameters(Tensor[] start) {
        TensorVector list = new TensorVector();
        for (Tensor one : start) list.push_back(one.clone().set_requires_grad(true));
        return list;
    }

    private static void setGradients(TensorVector parameters, Tensor[] gradients) {
        for (int i = 0; i < gradients.length; i++)
            parameters.get(i).mutable_grad().put(gradients[i].clone());
    }

    private static float[] floats(Tensor tensor) {
        float[] values = new float[(int) tensor.numel()];
        tensor.detach().data_ptr_float().get(values);
        return values;
    }

    /** A clipper that is made anew, because a parameter has a gradient at last, goes on with what a rule remembers. */
    @Test
    void aRuleRemembersAndSkips() throws IOException {
        TensorVector parameters = parameters(new Tensor[] {randn(3), randn(2)});
        ClipRule rule = ClipRule.skipAbove(10).withMaxNorm(1);
        ClipRule remembering = ClipRule.zClip();
        Path file = folder.resolve("history.safetensors");
        try (TorchClipper clipper = TorchClipper.of(parameters)) {
            parameters.get(0).mutable_grad().put(torch.full(new long[] {3}, new Scalar(0.5)));
            assertEquals(false, clipper.step(Update.adamW(RATE), rule).skipped());
            clipper.clip(remembering);
            float[] before = floats(parameters.get(0));
            parameters.get(1).mutable_grad().put(torch.full(new long[] {2}, new Scalar(100.0)));
            assertTrue(clipper.step(Update.adamW(RATE), rule).skipped());
            assertArrayEquals(before, floats(parameters.get(0)));
            clipper.clip(remembering);
            assertEquals(2, clipper.history(rule).steps());
            assertEquals(2, clipper.history(remembering).steps());
            clipper.history(remembering).save(file);
        }
        try (TorchClipper clipper = TorchClipper.of(parameters)) {
            clipper.history(remembering).load(file);
            assertEquals(2, clipper.history(remembering).steps());
        }
    }

    /**
     * Fifty steps on the same gradients, beside LibTorch's optimizer and beside the formulas in double. The two are not
     * equal to the bit: LibTorch adds its norm up in float, and its vectorised loops fuse and order operations
     * otherwise. So this library's weights must be as near to the exact ones as LibTorch's are. LibTorch gets the
     * gradients scaled by this library's coefficient, so that only the updates differ; every other step does not clip.
     */
    @Test
    void fiftyStepsAreAsExactAsLibTorchs() {
        for (Update update : UPDATES) {
            Tensor[] start = shapes();
            TensorVector ours = parameters(start);
            TensorVector theirs = parameters(start);
            Optimizer optimizer = optimizer(update, theirs);
            Exact[] exact =
                    Arrays.stream(start).map(one -> new Exact(floats(one))).toArray(Exact[]::new);
            try (TorchClipper clipper = TorchClipper.of(ours)) {
                for (int step = 1; step <= 50; step++) {
                    Tensor[] gradients = new Tensor[start.length];
                    for (int i = 0; i < start.length; i++) gradients[i] = torch.randn_like(start[i]);
                    setGradients(ours, gradients);
                    setGradients(theirs, gradients);
                    ClipRule rule = ClipRule.globalNorm(step % 2 == 0 ? 1e9 : 3);
                    float coefficient = (float) clipper.step(update, rule).coefficient();
                    for (int i = 0; i < start.length; i++) {
                        theirs.get(i).mutable_grad().mul_(new Scalar(coefficient));
                        exact[i].step(update, floats(gradients[i]), coefficient, step);
                    }
                    optimizer.step();
                }
            }
            double ourError = 0;
            double theirError = 0;
            double apart = 0;
            for (int i = 0; i < start.length; i++) {
                float[] a = floats(ours.get(i));
                float[] b = floats(theirs.get(i));
                for (int k = 0; k < a.length; k++) {
                    // A weight is the sum of its start and 50 updates of about the learning rate, so that a weight
                    // near zero has the rounding of larger ones in it.
                    double unit = Math.ulp((float) Math.max(Math.abs(exact[i].weights[k]), 50 * RATE));
                    ourError = Math.max(ourError, Math.abs(a[k] - exact[i].weights[k]) / unit);
                    theirError = Math.max(theirError, Math.abs(b[k] - exact[i].weights[k]) / unit);
                    apart = Math.max(apart, Math.abs((double) a[k] - b[k]) / unit);
                }
            }
            String errors = update + ": this library " + ourError + ", LibTorch " + theirError + ", apart " + apart;
            assertTrue(ourError <= 1.25 * theirError, errors);
            assertTrue(apart <= 8, errors);
        }
    }

    /** The mean squared error of a linear model in a type after 300 small steps; the data are the same each time. */
    private static double lossOf(torch.ScalarType type, Update update) {
        torch.manual_seed(7);
        Tensor x = randn(256, 32);
        Tensor y = x.matmul(randn(32, 8)).to(type);
        LinearImpl model = new LinearImpl(32, 8);
        model.to(type, false);
        Tensor input = x.to(type);
        double loss = Double.NaN;
        try (TorchClipper clipper = TorchClipper.of(model)) {
            for (int step = 0; step < 300; step++) {
                model.zero_grad(true);
                Tensor error = mse_loss(model.forward(input), y);
                error.backward();
                clipper.step(update, ClipRule.globalNorm(10));
                loss = error.item_double();
            }
        }
        return loss;
    }

    /** Steps of 1e-3 are lost where a BFLOAT16 weight's last place is 1/128, unless master weights add them up. */
    @Test
    void aBfloat16ModelLearnsAsAFloat32OneByMasterWeights() {
        Update update = Update.sgd(0.02);
        double exact = lossOf(torch.ScalarType.Float, update);
        double masters = lossOf(torch.ScalarType.BFloat16, update.withMasterWeights());
        double without = lossOf(torch.ScalarType.BFloat16, update);
        String losses = "float32 " + exact + ", bfloat16 with master weights " + masters + ", without " + without;
        assertTrue(masters < 1.1 * exact, losses);
        assertTrue(without > 2 * masters, losses);
    }

    /** One tensor's weights and state, by the formulas of Sutskever 2013, Kingma 2015 and Loshchilov 2019 in double. */
    private static final class Exact {
        private final double[] weights;
        private final double[] first;
        private final double[] second;

        Exact(float[] start) {
            weights = new double[start.length];
            for (int k = 0; k < start.length; k++) weights[k] = start[k];
            first = new double[start.length];
            second = new double[start.length];
        }

        void step(Update update, float[] gradients, float coefficient, int step) {
            for (int k = 0; k < weights.length; k++) {
                double g = (double) gradients[k] * coefficient;
                if (update instanceof SgdUpdate sgd) {
                    g += sgd.weightDecay() * weights[k];
                    first[k] = sgd.momentum() * first[k] + g;
                    double direction = sgd.nesterov() ? g + sgd.momentum() * first[k] : first[k];
                    weights[k] -= RATE * direction;
                } else {
                    AdamUpdate adam = (AdamUpdate) update;
                    if (adam.decoupled()) weights[k] *= 1 - RATE * adam.weightDecay();
                    else g += adam.weightDecay() * weights[k];
                    first[k] = adam.beta1() * first[k] + (1 - adam.beta1()) * g;
                    second[k] = adam.beta2() * second[k] + (1 - adam.beta2()) * g * g;
                    double mean = first[k] / (1 - Math.pow(adam.beta1(), step));
                    double square = second[k] / (1 - Math.pow(adam.beta2(), step));
                    weights[k] -= RATE * mean / (Math.sqrt(square) + adam.epsilon());
                }
            }
        }
    }

    @Test
    void aModelLearnsAndARestartGoesOnToTheBit() throws IOException {
        Update update = Update.adamW(1e-2);
        ClipRule rule = ClipRule.globalNorm(0.5);
        float[] whole = trained(update, rule, null);
        float[] restarted = trained(update, rule, folder.resolve("state.safetensors"));
        assertArrayEquals(whole, restarted);
    }

    /** Trains a small model for 20 steps; with a file, a new clipper takes over after 10. */
    private static float[] trained(Update update, ClipRule rule, @org.jspecify.annotations.Nullable Path file)
            throws IOException {
        torch.manual_seed(9);
        org.bytedeco.pytorch.LinearImpl model = new org.bytedeco.pytorch.LinearImpl(8, 3);
        Tensor x = randn(16, 8);
        Tensor y = randint(3, new long[] {16});
        List<Double> losses = new ArrayList<>();
        TorchClipper clipper = TorchClipper.of(model);
        try {
            for (int step = 0; step < 20; step++) {
                if (step == 10 && file != null) {
                    clipper.saveState(file);
                    clipper.close();
                    clipper = TorchClipper.of(model);
                    clipper.loadState(file);
                }
                model.zero_grad(true);
                Tensor loss = cross_entropy(model.forward(x), y);
                loss.backward();
                losses.add(loss.item_double());
                clipper.step(update, rule);
            }
        } finally {
            clipper.close();
        }
        assertTrue(losses.get(19) < losses.get(0), losses::toString);
        return floats(model.weight());
    }

    @Test
    void absentGradientsLeaveTheirParameters() {
        Tensor[] start = shapes();
        TensorVector parameters = parameters(start);
        parameters.get(0).mutable_grad().put(randn(64, 3, 7, 7));
        float[] before = floats(parameters.get(2));
        try (TorchClipper clipper = TorchClipper.of(parameters)) {
            assertEquals(
                    1, clipper.step(Update.adamW(0.1), ClipRule.globalNorm(1)).tensors());
            assertArrayEquals(before, floats(parameters.get(2)));
            assertTrue(floats(parameters.get(0))[0] != floats(start[0])[0]);
        }
    }
}
