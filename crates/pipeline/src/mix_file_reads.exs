defmodule Mix.Tasks.Mixpack.FileReads do
  @moduledoc false

  # Traces the files and directories that the app's modules read while they are compiled. Mix compiles each source
  # file in a process of its own. For itself, it reads files in the process that runs the tasks, and in children of that.
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
    state = %{runner: self(), deps: Mix.Project.deps_path(), cwd: File.cwd!(), reads: MapSet.new(), parents: %{}, sources: %{}}
    collector = spawn(fn -> collect(state) end)
    Process.put(__MODULE__, collector)
    :erlang.trace(self(), true, [:procs, :set_on_spawn, {:tracer, collector}])

    for {name, arity} <- :file.module_info(:exports), name == :set_cwd or is_map_key(@kinds, name) do
      :erlang.trace_pattern({:file, name, arity}, true, [{:meta, collector}])
    end
  end

  # Writes what modules have read since the last call, except for what mix tracks: lines `KIND<TAB>PATH<TAB>SOURCE`.
  # The paths are absolute. SOURCE is the module's source file, or empty if it is unknown which module read the path.
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
    sources = for {dir, app} <- projects(), source <- sources(app), do: {dir, source}
    resources = for {dir, {_, source}} <- sources, path <- external_resources(source), do: Path.expand(path, dir)
    resources = MapSet.new(resources)
    own_checks = for {dir, {path, source}} <- sources, checks_itself?(source), do: Path.expand(path, dir)

    for {kind, path, source} <- reads,
        kind != "content" or path not in resources,
        kind != "names" or source not in own_checks,
        not String.contains?(path <> source, ["\t", "\n"]),
        do: [kind, ?\t, path, ?\t, source, ?\n]
  end

  # The directories and names of the app, of an umbrella's apps and of path dependencies.
  defp projects do
    deps = Mix.Project.deps_path()
    local = for {app, path} <- Mix.Project.deps_paths(), not within?(path, deps), do: {path, app}
    children = for {app, path} <- Mix.Project.apps_paths() || %{}, do: {Path.expand(path), app}
    [{File.cwd!(), Mix.Project.config()[:app]} | local ++ children]
  end

  # The paths and records of the source files in mix's manifest (lib/mix/lib/mix/compilers/elixir.ex). Where they are,
  # and which fields they have, depends on the version of Elixir.
  defp sources(app) do
    case File.read(Path.join([Mix.Project.build_path(), "lib", "#{app}", ".mix", "compile.elixir"])) do
      {:ok, manifest} -> manifest |> :erlang.binary_to_term() |> sources_in()
      _ -> []
    end
  end

  defp sources_in({path, source}) when is_binary(path) and elem(source, 0) == :source, do: [{path, source}]
  defp sources_in(source) when elem(source, 0) == :source and is_binary(elem(source, 1)), do: [{elem(source, 1), source}]
  defp sources_in(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> sources_in()
  defp sources_in(list) when is_list(list), do: Enum.flat_map(list, &sources_in/1)
  defp sources_in(map) when is_map(map), do: map |> Map.to_list() |> sources_in()
  defp sources_in(_), do: []

  # `@external_resource` is a list of paths, from Elixir 1.13 on in tuples. In other lists, tuples begin with an atom.
  defp external_resources(source) do
    for list when is_list(list) <- Tuple.to_list(source), entry <- list, path = resource(entry), do: path
  end

  defp resource(path) when is_binary(path), do: path
  defp resource(tuple) when is_binary(elem(tuple, 0)), do: elem(tuple, 0)
  defp resource(_), do: nil

  # Whether a module of a source file tells mix when to recompile it, as Phoenix's and Gettext's do for the directories
  # that they list. The last field of the record has the modules.
  defp checks_itself?(source) do
    modules = elem(source, tuple_size(source) - 1)
    is_list(modules) and Enum.any?(modules, &(Code.ensure_loaded?(&1) and function_exported?(&1, :__mix_recompile__?, 0)))
  end

  defp collect(state) do
    receive do
      {:trace_ts, pid, :call, {:file, name, [path | _]}, _} -> state |> safely_add(pid, name, path) |> collect()
      {:trace, pid, :spawned, parent, _} -> collect(%{state | parents: Map.put(state.parents, pid, parent)})
      {:take, from} -> send(from, {:reads, state.reads}) && collect(%{state | reads: MapSet.new()})
      _ -> collect(state)
    end
  end

  # Reading an invalid path fails, and changes of other files don't change that.
  defp safely_add(state, pid, name, path) do
    add(state, pid, name, path |> IO.chardata_to_string() |> Path.expand(state.cwd))
  rescue
    _ -> state
  end

  defp add(state, _, :set_cwd, path), do: %{state | cwd: path}
  defp add(%{runner: pid} = state, pid, _, _), do: state

  defp add(state, pid, name, path) do
    source = source(pid, state)
    # Mix compiles a dependency in its directory.
    of_dependency? = within?(state.cwd, state.deps)

    cond do
      # A compiler first reads its source file.
      source == :mix and Path.extname(path) == ".ex" -> %{state | sources: Map.put(state.sources, pid, path)}
      source == :mix or of_dependency? or compiled?(path) -> state
      true -> %{state | reads: MapSet.put(state.reads, {@kinds[name], path, source})}
    end
  end

  # The source file that a process compiles, or an ancestor of it.
  defp source(nil, _), do: ""
  defp source(pid, %{runner: pid}), do: :mix
  defp source(pid, state), do: state.sources[pid] || source(state.parents[pid], state)

  defp within?(path, dir), do: String.starts_with?(path <> "/", dir <> "/")

  # Mix and Erlang also read these in other processes.
  defp compiled?(path) do
    Path.basename(path) == "ebin" or Path.extname(path) in [".app", ".beam"] or Path.basename(Path.dirname(path)) == ".mix"
  end
end
