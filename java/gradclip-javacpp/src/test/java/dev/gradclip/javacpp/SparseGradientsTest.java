// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import static org.bytedeco.pytorch.global.torch.clip_grad_norm_;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.sparse_coo_tensor;
import static org.bytedeco.pytorch.global.torch.tensor;
import static org.bytedeco.pytorch.global.torch.zeros;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gradclip.Backend;
import dev.gradclip.ClipResult;
import dev.gradclip.ClipRule;
import dev.gradclip.Update;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.EmbeddingImpl;
import org.bytedeco.pytorch.EmbeddingOptions;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Sparse gradients are clipped by their values, as the dense gradients that they stand for. */
@ExtendWith(Torch.class)
class SparseGradientsTest {
    private static Stream<Backend> backends() {
        return Stream.of(Backend.JAVA, Backend.NATIVE).filter(Backend::isAvailable);
    }

    /** A sparse 6 × 2 matrix with row 4 twice: (1, 2) + (2, 2) = (3, 4); and (0, 12) in row 1. */
    private static Tensor twice() {
        Tensor indices = tensor(4L, 1L, 4L).view(1, 3);
        Tensor values = tensor(1f, 2f, 0f, 12f, 2f, 2f).view(3, 2);
        return sparse(indices, values);
    }

    private static Tensor sparse(Tensor indices, Tensor values) {
        return sparse_coo_tensor(indices, values, new long[] {6, 2});
    }

    private static Tensor with(Tensor gradient) {
        Tensor parameter = Torch.parameter(6, 2);
        parameter.mutable_grad().put(gradient.toType(parameter.scalar_type()));
        return parameter;
    }

    private static double[] dense(Tensor parameter) {
        return Torch.values(parameter.grad().to_dense());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void valuesAtOneIndexAreOneElement(Backend backend) {
        Tensor parameter = with(twice());
        assertFalse(parameter.grad().is_coalesced());
        try (TorchClipper clipper =
                TorchClipper.builder().add("table", parameter).backend(backend).build()) {
            ClipResult result = clipper.clip(ClipRule.globalNorm(6.5).withEpsilon(0));
            assertEquals(13, result.globalNorm());
            assertEquals(0.5, result.coefficient());
            assertEquals(4, result.elements(), "two rows of two");
            assertEquals(6.5, clipper.globalNorm());
        }
        assertTrue(parameter.grad().is_sparse());
        assertTrue(parameter.grad().is_coalesced());
        assertArrayEquals(new double[] {0, 0, 0, 6, 0, 0, 0, 0, 1.5, 2, 0, 0}, dense(parameter));
    }

    /** The largest element of (1, 2) + (2, 2) is 4: a limit applies to sums, not to summands. */
    @Test
    void clampsElementsAndNotSummands() {
        Tensor parameter = with(twice());
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            assertEquals(1, clipper.clip(ClipRule.value(5)).elementsChanged());
        }
        assertArrayEquals(new double[] {0, 0, 0, 5, 0, 0, 0, 0, 3, 4, 0, 0}, dense(parameter));
    }

    @Test
    void coalescedGradientsStayWhereTheyAre() {
        Tensor parameter = with(twice().coalesce());
        long before = parameter.grad()._values().data_ptr().address();
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
            clipper.clipByGlobalNorm(1);
        }
        assertEquals(before, parameter.grad()._values().data_ptr().address());
    }

    private static EmbeddingImpl embedding(boolean sparse) {
        EmbeddingOptions options = new EmbeddingOptions(50, 8);
        options.sparse().put(sparse);
        return new EmbeddingImpl(options);
    }

    /** Another number of rows in each step, and indices that repeat. */
    @ParameterizedTest
    @MethodSource("backends")
    void anEmbeddingTrainsAsItsDenseTwin(Backend backend) {
        EmbeddingImpl sparse = embedding(true);
        EmbeddingImpl dense = embedding(false);
        Tensor same = dense.weight().detach().copy_(sparse.weight().detach());
        assertEquals(400, same.numel());
        try (TorchClipper ofSparse =
                        TorchClipper.builder().add(sparse).backend(backend).build();
                TorchClipper ofDense =
                        TorchClipper.builder().add(dense).backend(backend).build()) {
            SGD sgdOfSparse = new SGD(sparse.parameters(), new SGDOptions(0.1));
            SGD sgdOfDense = new SGD(dense.parameters(), new SGDOptions(0.1));
            for (int step = 0; step < 4; step++) {
                long[] words = new long[5 + 3 * step];
                for (int i = 0; i < words.length; i++) words[i] = (5L * i + step) % 11;
                Tensor input = tensor(words);
                Tensor factors = randn(words.length, 8);
                sgdOfSparse.zero_grad();
                sgdOfDense.zero_grad();
                sparse.forward(input).mul(factors).sum().backward();
                dense.forward(input).mul(factors).sum().backward();
                assertTrue(sparse.weight().grad().is_sparse());
                double norm = ofDense.clipByGlobalNorm(0.5).globalNorm();
                assertEquals(norm, ofSparse.clipByGlobalNorm(0.5).globalNorm(), 1e-6 * norm);
                sgdOfSparse.step();
                sgdOfDense.step();
                assertArrayEquals(Torch.values(dense.weight()), Torch.values(sparse.weight()), 1e-6);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void besideDenseGradients(Backend backend) {
        Tensor table = with(twice());
        Tensor bias = Torch.withOnes(31);
        try (TorchClipper clipper = TorchClipper.builder()
                .add("table", table)
                .add("bias", bias)
                .backend(backend)
                .build()) {
            ClipResult result = clipper.clip(ClipRule.globalNorm(1).withEpsilon(0));
            assertEquals(Math.sqrt(169 + 31), result.globalNorm());
            assertEquals(13, result.tensorNorm(0));
            // From one step to the next a gradient may become dense, absent, sparse.
            table.mutable_grad().put(table.grad().to_dense());
            assertEquals(1, clipper.globalNorm(), 1e-6);
            table.mutable_grad().put(new Tensor());
            assertEquals(Math.sqrt(31.0 / 200), clipper.globalNorm(), 1e-6);
            table.mutable_grad().put(twice());
            assertEquals(Math.sqrt(169 + 31.0 / 200), clipper.globalNorm(), 1e-6);
        }
    }

    @Test
    void withoutAnyValue() {
        Tensor none = sparse(zeros(new long[] {1, 0}, new TensorOptions(ScalarType.Long)), zeros(new long[] {0, 2}));
        Tensor parameter = with(none);
        try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter, Torch.withOnes(4)))) {
            assertEquals(2, clipper.clipByGlobalNorm(1).globalNorm());
            parameter.mutable_grad().put(twice());
            assertEquals(13, clipper.clipPerTensorNorm(1).tensorNorm(0));
        }
    }

    @Test
    void ofEveryType() {
        for (ScalarType type : new ScalarType[] {ScalarType.Double, ScalarType.Half, ScalarType.BFloat16}) {
            Tensor parameter = Torch.parameter(6, 2).toType(type).detach().requires_grad_(true);
            parameter.mutable_grad().put(twice().toType(type));
            try (TorchClipper clipper = TorchClipper.of(Torch.vector(parameter))) {
                assertEquals(
                        13,
                        clipper.clip(ClipRule.globalNorm(6.5).withEpsilon(0)).globalNorm());
            }
            assertArrayEquals(new double[] {0, 0, 0, 6, 0, 0, 0, 0, 1.5, 2, 0, 0}, dense(parameter));
        }
    }

    /** LibTorch's own clip finds the same norm, but scales a copy: the gradients stay as they were. */
    @Test
    void libTorchMeasuresTheSameNorm() {
        for (Tensor gradient : new Tensor[] {twice(), twice().coalesce()}) {
            Tensor parameter = with(gradient);
            assertEquals(13, clip_grad_norm_(Torch.vector(parameter), 6.5), 1e-6);
            assertArrayEquals(new double[] {0, 0, 0, 12, 0, 0, 0, 0, 3, 4, 0, 0}, dense(parameter));
        }
    }

    @Test
    void stepsAndUnitsAreRefusedByName() {
        TensorVector parameters = Torch.vector(Torch.withOnes(3), with(twice()));
        double[] before = Torch.values(parameters.get(0));
        List<String> names = List.of("bias", "table");
        try (TorchClipper clipper = TorchClipper.of(parameters, names)) {
            Exception refused = assertThrows(
                    IllegalArgumentException.class, () -> clipper.step(Update.sgd(0.1), ClipRule.globalNorm(1)));
            String said = String.valueOf(refused.getMessage());
            assertTrue(said.contains("the gradient of table is sparse"), said);
            assertTrue(said.contains("which a step updates all"), said);
            // A step that was refused does not stand in the way of the clip that it advises.
            assertEquals(
                    Math.sqrt(3 + 169), clipper.clip(ClipRule.globalNorm(1000)).globalNorm());
        }
        assertArrayEquals(before, Torch.values(parameters.get(0)), "untouched");
        try (TorchClipper clipper = TorchClipper.builder()
                .add("bias", parameters.get(0))
                .add("table", parameters.get(1))
                .units()
                .build()) {
            Exception refused =
                    assertThrows(IllegalArgumentException.class, () -> clipper.clip(ClipRule.perRowNorm(1)));
            String said = String.valueOf(refused.getMessage());
            assertTrue(said.contains("the gradient of table is sparse"), said);
            assertTrue(said.contains("leave units() out"), said);
        }
    }

    @Test
    void anotherLayoutIsRefused() {
        Tensor csr = twice().to_dense().to_sparse_csr();
        Tensor parameter = Torch.parameter(6, 2);
        parameter.mutable_grad().put(csr);
        try (TorchClipper clipper =
                TorchClipper.builder().add("table", parameter).build()) {
            Exception refused = assertThrows(IllegalArgumentException.class, () -> clipper.clipByGlobalNorm(1));
            String said = String.valueOf(refused.getMessage());
            assertTrue(said.contains("the gradient of table is sparse in CSR layout, and only COO is clipped"), said);
        }
    }
}
