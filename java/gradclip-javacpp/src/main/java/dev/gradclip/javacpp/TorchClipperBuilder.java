// SPDX-License-Identifier: Apache-2.0
package dev.gradclip.javacpp;

import dev.gradclip.Backend;
import dev.gradclip.ClipListener;
import dev.gradclip.GradientClipper;
import dev.gradclip.GradientClipperBuilder;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Executor;
import org.bytedeco.pytorch.Module;
import org.bytedeco.pytorch.StringTensorDictItem;
import org.bytedeco.pytorch.StringTensorDictItemVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.jspecify.annotations.Nullable;

/** Collects the parameters whose gradients a {@link TorchClipper} clips. One that is added twice is taken once. */
public final class TorchClipperBuilder {
    private final List<String> names = new ArrayList<>();
    private final Set<String> taken = new HashSet<>();
    private final List<Tensor> parameters = new ArrayList<>();
    private final List<TorchShard> shards = new ArrayList<>();
    private final Set<Long> identities = new HashSet<>();
    private @Nullable Backend backend;
    private @Nullable Executor executor;
    private @Nullable ClipListener listener;
    private int threads;
    private boolean units;

    TorchClipperBuilder() {}

    /**
     * All parameters of a module and what is in it, under the names that {@code named_parameters()} gives.
     *
     * @throws IllegalArgumentException if a name is taken: then {@link #add(String, Module)} gives the module a name
     */
    public TorchClipperBuilder add(Module module) {
        return addAll("", module);
    }

    /**
     * Adds a module as {@link #add(Module)} does, under names that begin with a prefix and a dot, for a second module
     * in one clipper.
     */
    public TorchClipperBuilder add(String prefix, Module module) {
        return addAll(prefix + ".", module);
    }

    private TorchClipperBuilder addAll(String prefix, Module module) {
        StringTensorDictItemVector items = module.named_parameters().items();
        for (long i = 0; i < items.size(); i++) {
            StringTensorDictItem item = items.get(i);
            add(prefix + item.key().getString(), item.value());
        }
        return this;
    }

    /** Parameters without names: errors call them by their place. */
    public TorchClipperBuilder add(TensorVector list) {
        long size = list.size();
        for (long i = 0; i < size; i++) add("parameter " + names.size(), list.get(i));
        return this;
    }

    /**
     * One parameter, under a name that errors give.
     *
     * @throws IllegalArgumentException if the name is taken, or the tensor is undefined
     */
    public TorchClipperBuilder add(String name, Tensor parameter) {
        Objects.requireNonNull(parameter, name);
        if (!parameter.defined()) throw new IllegalArgumentException(name + " is an undefined tensor, not a parameter");
        if (!identities.add(parameter.unsafeGetTensorImpl().address())) return this;
        if (!taken.add(name)) throw new IllegalArgumentException("there are two parameters named '" + name + "'");
        names.add(name);
        // A handle of its own, which outlives the caller's, and the PointerScope that may be open here.
        parameters.add(new Tensor(parameter).retainReference());
        shards.add(TorchShard.WHOLE);
        return this;
    }

    /**
     * Declares that the parameter added last is a shard of one that ranks share: {@link GradientClipperBuilder#shard}.
     *
     * @throws IllegalStateException if no parameter was added
     */
    public TorchClipperBuilder shard(long firstElement, long totalLength) {
        int last = last("shard");
        shards.set(last, shards.get(last).at(firstElement, totalLength));
        return this;
    }

    /**
     * Declares that the parameter added last is on several ranks, of which one counts it:
     * {@link GradientClipperBuilder#replica}.
     *
     * @throws IllegalArgumentException if owner is negative
     * @throws IllegalStateException if no parameter was added
     */
    public TorchClipperBuilder replica(int owner) {
        int last = last("replica");
        shards.set(last, shards.get(last).ownedBy(owner));
        return this;
    }

    /**
     * Declares that every parameter added so far is whole on every rank, and that rank 0 counts it: plain data
     * parallelism.
     *
     * <pre>{@code
     * TorchClipper clipper = TorchClipper.builder().add(model).replicated().build();
     * }</pre>
     */
    public TorchClipperBuilder replicated() {
        shards.replaceAll(shard -> shard.ownedBy(0));
        return this;
    }

    /** Adds a parameter of which this rank holds nothing: {@link GradientClipperBuilder#elsewhere}. */
    public TorchClipperBuilder elsewhere(String name, ScalarType type, long totalLength) {
        return add(name, torch.zeros(new long[] {0}, new TensorOptions(type))).shard(0, totalLength);
    }

    private int last(String method) {
        if (names.isEmpty()) {
            throw new IllegalStateException(method + " is about the parameter added last; add one first");
        }
        return names.size() - 1;
    }

    /**
     * Another backend than that of the side where the gradients are; see {@link GradientClipperBuilder#backend}. Where
     * it can't run, the first clip says so.
     */
    public TorchClipperBuilder backend(Backend choice) {
        backend = choice;
        return this;
    }

    /**
     * Sets the most threads of this library's own that work, the calling one among them. Unless it is set, LibTorch's
     * own threads do the work, as many as {@code torch.get_num_threads()} says when the first clip comes.
     *
     * @throws IllegalArgumentException if it is below 1
     */
    public TorchClipperBuilder threads(int count) {
        GradientClipper.builder().threads(count);
        threads = count;
        executor = null;
        return this;
    }

    /** An executor to help the calling thread; see {@link GradientClipperBuilder#executor}. */
    public TorchClipperBuilder executor(Executor helper, int count) {
        GradientClipper.builder().executor(helper, count);
        threads = count;
        executor = helper;
        return this;
    }

    /**
     * Sets the listener of each clip; see {@link GradientClipperBuilder#listener}. Steps are counted from 0 again where
     * the gradients' types, lengths or device changed.
     */
    public TorchClipperBuilder listener(ClipListener told) {
        listener = Objects.requireNonNull(told, "listener");
        return this;
    }

    /**
     * Binds the units of each parameter of two or more dimensions, its leading dimension, as rows, and every
     * parameter's weights beside its gradient: for {@code ClipRule.perRowNorm} and {@code ClipRule.adaptive}. A bias is
     * one unit.
     */
    public TorchClipperBuilder units() {
        units = true;
        return this;
    }

    /** The clipper. */
    public TorchClipper build() {
        return new TorchClipper(new TorchGradients(names, parameters, shards, units), backend, this::settings);
    }

    private GradientClipperBuilder settings() {
        GradientClipperBuilder builder = GradientClipper.builder();
        if (listener != null) builder.listener(listener);
        if (executor != null) return builder.executor(executor, threads);
        if (threads != 0) return builder.threads(threads);
        return builder.openMpThreads("libtorch_cpu.so", torch.get_num_threads());
    }
}
