// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.examples.distributed;

import static org.bytedeco.pytorch.global.torch.cross_entropy;
import static org.bytedeco.pytorch.global.torch.manual_seed;
import static org.bytedeco.pytorch.global.torch.mm;
import static org.bytedeco.pytorch.global.torch.randn;
import static org.bytedeco.pytorch.global.torch.relu;

import dev.gradclip.javacpp.TorchClipper;
import dev.gradclip.javacpp.TorchClipperBuilder;
import dev.gradclip.javacpp.TorchExchange;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.LinearImpl;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.StringTensorDictItemVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;

/**
 * A network of three layers that learns the classes of a fixed random one. Every rank computes with all weights on its
 * own examples; of the gradients, averaged over ranks, and of the updates it has its rows, as in ZeRO 2. What is small
 * is on every rank.
 */
final class ShardedModel {
    private static final int INPUTS = 256;

    /** Of this many rows each of two, three and four ranks holds whole tiles. */
    private static final int HIDDEN = 768;

    private static final int CLASSES = 10;
    private static final int EXAMPLES = 96;

    /** A parameter, and the rows of it that this rank updates; for one that is not sharded that is the whole. */
    private record Part(String name, Tensor whole, Tensor own, long firstRow) {
        boolean isSharded() {
            return own.numel() < whole.numel();
        }
    }

    private static final class Network extends Module {
        private final LinearImpl first = register_module("first", new LinearImpl(INPUTS, HIDDEN));
        private final LinearImpl second = register_module("second", new LinearImpl(HIDDEN, HIDDEN));
        private final LinearImpl last = register_module("last", new LinearImpl(HIDDEN, CLASSES));

        Network() {
            super("Network");
        }

        Tensor forward(Tensor x) {
            return last.forward(relu(second.forward(relu(first.forward(x)))));
        }
    }

    private final TorchExchange exchange;
    private final Network network;
    private final List<Part> parts = new ArrayList<>();
    private final SGD optimizer;
    private final Tensor inputs;
    private final Tensor labels;

    ShardedModel(TorchExchange exchange) {
        this.exchange = exchange;
        // The same weights and the same teacher on every rank, and other examples.
        manual_seed(1);
        network = new Network();
        Tensor teacher = randn(INPUTS, CLASSES);
        manual_seed(100 + exchange.rank());
        inputs = randn(EXAMPLES, INPUTS);
        labels = mm(inputs, teacher).argmax(new LongOptional(1), false);
        StringTensorDictItemVector items = network.named_parameters().items();
        TensorVector own = new TensorVector();
        for (long i = 0; i < items.size(); i++) {
            StringTensorDictItem item = items.get(i);
            Part part = part(item.key().getString(), item.value());
            parts.add(part);
            own.push_back(part.own());
        }
        optimizer = new SGD(own, new SGDOptions(0.5));
    }

    private Part part(String name, Tensor whole) {
        long rows = whole.size(0);
        boolean shards = whole.dim() == 2 && rows == HIDDEN;
        long mine = shards ? rows / exchange.size() : rows;
        long firstRow = shards ? mine * exchange.rank() : 0;
        Tensor own = whole.detach().narrow(0, firstRow, mine).requires_grad_(true);
        return new Part(name, whole, own, firstRow);
    }

    /** A clipper of this rank's rows, and of one copy of what is on every rank. */
    TorchClipper sharded() {
        TorchClipperBuilder builder = TorchClipper.builder();
        for (Part part : parts) {
            builder.add(part.name(), part.own());
            if (part.isSharded()) {
                builder.shard(
                        part.firstRow() * part.whole().size(1), part.whole().numel());
            } else {
                builder.replica(0);
            }
        }
        return builder.build();
    }

    /** A clipper of all gradients, as one process has them, for the norm to be compared with. */
    TorchClipper whole() {
        return TorchClipper.of(network);
    }

    /** Computes this rank's gradients and averages them over ranks; returns the loss. */
    double backward() {
        network.zero_grad(false);
        Tensor loss = cross_entropy(network.forward(inputs), labels);
        loss.backward();
        for (Part part : parts) {
            exchange.collective(
                    group -> group.allreduce(new TensorVector(part.whole().grad())));
            part.whole().grad().div_(new Scalar(exchange.size()));
            Tensor rows =
                    part.whole().grad().narrow(0, part.firstRow(), part.own().size(0));
            part.own().mutable_grad().put(rows);
        }
        return loss.item_double();
    }

    /** Updates this rank's rows, and gathers those of the others. */
    void step() {
        optimizer.step();
        for (Part part : parts) {
            if (!part.isSharded()) continue;
            Tensor all = part.whole().detach();
            Tensor mine = part.own().detach().clone();
            exchange.collective(group -> group._allgather_base(all, mine));
        }
    }
}
