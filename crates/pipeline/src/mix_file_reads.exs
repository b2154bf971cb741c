defmodule Mix.Tasks.Mixpack.FileReads do
  @moduledoc false

  # Traces the files and directories that the app's modules read while they are compiled. Mix compiles each source
  # file in a process of its own, and reads files for itself in the process that runs the tasks.
  @kinds %{
    copy: "content",
    consult: "content",
    list_dir: "names",
    list_dir_all: "names",
    open: "content",
    path_open: "content",
    read_file: "content",
    read_file_info: "status",
    read_link: "status",
    read_link_all: "status",
    read_link_info: "status"
  }

  # Starts tracing. To be called by the process that runs the tasks.
  def start do
    state = %{runner: self(), deps: Mix.Project.deps_path(), cwd: File.cwd!(), reads: MapSet.new(), sources: %{}}
    collector = spawn(fn -> collect(state) end)
    Process.put(__MODULE__, collector)

    for {name, arity} <- :file.module_info(:exports), name == :set_cwd or is_map_key(@kinds, name) do
      :erlang.trace_pattern({:file, name, arity}, true, [{:meta, collector}])
    end
  end

  # Writes what modules have read since the last call, except for what mix tracks: lines `KIND<TAB>PATH<TAB>SOURCE`.
  # PATH is absolute, and SOURCE is the module's source file, or empty if another process than its compiler has read
  # the file.
  def write(path) do
    ref = :erlang.trace_delivered(:all)

    receive do
      {:trace_delivered, :all, ^ref} -> :ok
    end

    send(Process.get(__MODULE__), {:take, self()})

    receive do
      {:reads, reads} -> if Enum.any?(reads), do: File.write!(path, lines(reads))
    end
  end

  defp lines(reads) do
    tracked = tracked()

    for {kind, path, cwd, source} <- reads,
        kind != "content" or Path.join("/", Path.relative_to(path, cwd)) not in tracked,
        # To consolidate protocols, mix lists the code path, which contains the current directory.
        source != "" or path != cwd,
        not String.contains?(path <> source, ["\t", "\n"]),
        do: [kind, ?\t, path, ?\t, source, ?\n]
  end

  # The files in `@external_resource`, which mix's manifests contain. The directory of their project is `/` here.
  defp tracked do
    deps = Mix.Project.deps_path()
    local = for {app, path} <- Mix.Project.deps_paths(), not within?(path, deps), do: app
    own = [Mix.Project.config()[:app] | Map.keys(Mix.Project.apps_paths() || %{})]

    for app <- own ++ local,
        manifest = Path.join([Mix.Project.build_path(), "lib", "#{app}", ".mix", "compile.elixir"]),
        {:ok, content} <- [File.read(manifest)],
        source <- sources(:erlang.binary_to_term(content)),
        list when is_list(list) <- Tuple.to_list(source),
        path when is_binary(path) <- Enum.map(list, &resource/1),
        into: MapSet.new(),
        do: Path.expand(path, "/")
  end

  # The records of source files (lib/mix/lib/mix/compilers/elixir.ex), whose fields depend on the version of Elixir.
  defp sources(source) when is_tuple(source) and tuple_size(source) > 0 and elem(source, 0) == :source, do: [source]
  defp sources(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> sources()
  defp sources(list) when is_list(list), do: Enum.flat_map(list, &sources/1)
  defp sources(map) when is_map(map), do: map |> Map.values() |> sources()
  defp sources(_), do: []

  # `@external_resource` is a list of paths, from Elixir 1.13 on in tuples. In other lists, tuples begin with an atom.
  defp resource(path) when is_binary(path), do: path
  defp resource(tuple) when is_tuple(tuple) and tuple_size(tuple) > 0, do: elem(tuple, 0)
  defp resource(_), do: nil

  defp collect(state) do
    receive do
      {:trace_ts, pid, :call, {:file, name, [path | _]}, _} -> state |> safely_add(pid, name, path) |> collect()
      {:take, from} -> send(from, {:reads, state.reads}) && collect(%{state | reads: MapSet.new()})
    end
  end

  # Reading an invalid path fails, and changes of other files don't change that.
  defp safely_add(state, pid, name, path) do
    add(state, pid, name, path |> IO.chardata_to_string() |> Path.expand(state.cwd))
  rescue
    _ -> state
  end

  defp add(state, _, :set_cwd, path), do: %{state | cwd: path}

  defp add(state, pid, name, path) do
    cond do
      # Mix compiles a dependency in its directory.
      pid == state.runner or within?(state.cwd, state.deps) or compiled?(path) ->
        state

      # A compiler first reads its source file.
      Path.extname(path) == ".ex" and not is_map_key(state.sources, pid) ->
        %{state | sources: Map.put(state.sources, pid, path)}

      true ->
        read = {@kinds[name], path, state.cwd, Map.get(state.sources, pid, "")}
        %{state | reads: MapSet.put(state.reads, read)}
    end
  end

  defp within?(path, dir), do: String.starts_with?(path <> "/", dir <> "/")

  # Mix also reads these in other processes.
  defp compiled?(path) do
    Path.basename(path) == "ebin" or Path.extname(path) in [".app", ".beam"] or Path.basename(Path.dirname(path)) == ".mix"
  end
end
