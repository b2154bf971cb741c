defmodule Mix.Tasks.Mixpack.Reads do
  @moduledoc false

  # What compiling a dependency reads besides its own files, as calls of these functions tell. Each gives a name to
  # what is read; the shared store keeps a dependency only for builds in which all of it is the same.
  @calls [
    {:application_controller, :get_env, 2},
    {:application_controller, :get_env, 3},
    {:application_controller, :get_all_env, 1},
    {:application_controller, :set_env, 3},
    {:application_controller, :set_env, 4},
    {:application_controller, :get_key, 2},
    {:application_controller, :get_all_key, 1},
    {:application_controller, :get_application_module, 1},
    {:application_controller, :loaded_applications, 0},
    {:application_controller, :which_applications, 0},
    {:application_controller, :which_applications, 1},
    {:code, :all_available, 0},
    {:code, :all_loaded, 0},
    {:code, :get_path, 0},
    {:code, :where_is_file, 1},
    {:code, :ensure_loaded, 1},
    {:code, :is_loaded, 1},
    {:code, :load_file, 1},
    {:code, :which, 1},
    {:code, :get_object_code, 1},
    {:erlang, :function_exported, 3},
    {:erlang, :module_loaded, 1},
    {:erlang, :load_nif, 2},
    {:erlang, :open_port, 2},
    {:erlang, :system_info, 1},
    {:inet, :gethostname, 0},
    {:os, :env, 0},
    {:os, :getenv, 0},
    {:os, :getenv, 1},
    {:os, :getenv, 2},
    {:prim_inet, :open, 3},
    {:prim_inet, :open, 4},
    {:prim_inet, :open, 5},
    {:prim_socket, :open, 2},
    {:prim_socket, :open, 4},
    {:gen_tcp, :connect, 4},
    {:gen_tcp, :listen, 2},
    {UndefinedFunctionError, :hint_for_missing_module, 3},
    {System, :schedulers, 0},
    {System, :schedulers_online, 0},
    {Application, :spec, 1},
    {Application, :spec, 2},
    {Mix.Dep.Lock, :read, 0},
    {Mix.Dep.Lock, :read, 1},
    {Mix.Project, :deps_apps, 0},
    {Mix.Project, :deps_paths, 0},
    {Mix.Project, :deps_paths, 1},
    {Mix.Project, :deps_scms, 0},
    {Mix.Project, :deps_scms, 1},
    {Mix.Project, :deps_tree, 0},
    {Mix.Project, :deps_tree, 1}
  ]

  @files ~w(del_dir del_file delete list_dir list_dir_all make_dir make_hard_link make_link make_soft_link make_symlink
            open read_file read_file_info read_handle_info read_link read_link_all read_link_info rename write_file)a

  # These tell what else the VM has loaded, which other builds can't compare.
  @of_vm %{
    all_available: "which modules exist",
    all_loaded: "which modules are loaded",
    get_path: "the code path",
    loaded_applications: "which applications are loaded",
    where_is_file: "for files in the code path",
    which_applications: "which applications are started"
  }

  @of_cores ~w(cpu_topology dirty_cpu_schedulers dirty_cpu_schedulers_online logical_processors logical_processors_available
               logical_processors_online schedulers schedulers_online)a

  # These write to their second argument.
  @to ~w(make_hard_link make_link make_soft_link make_symlink rename)a

  # Writes the config that dependencies are compiled with: a line `APP KEY<TAB>SHA256<TAB>VARIABLE<TAB>MODULES` for each
  # value. SHA256 is empty if no other VM can have the same value, VARIABLE is the first of `variables` whose value is in
  # it, and MODULES are the modules that it names.
  def write_config(path, variables) do
    secrets =
      for name <- variables,
          line <- String.split(System.get_env(name, ""), ["\n", "\r"], trim: true),
          byte_size(line) >= 6,
          do: {name, String.trim(line)}

    lines =
      for {{:env, app, key}, value} <- :ets.tab2list(:ac_tab) do
        leaves = leaves(value)
        texts = Enum.filter(leaves, &is_binary/1)
        {variable, _} = Enum.find(secrets, {"", ""}, fn {_, text} -> Enum.any?(texts, &String.contains?(&1, text)) end)
        modules = for leaf <- leaves, is_atom(leaf), "Elixir." <> name <- [Atom.to_string(leaf)], do: name
        fields = [name(app, key), digest(value, leaves), variable, modules |> Enum.uniq() |> Enum.join(" ")]
        [Enum.intersperse(fields, ?\t), ?\n]
      end

    File.write!(path, lines)
  end

  defp name(app, key), do: line("#{inspect(app)} #{inspect(key)}")

  defp line(text), do: String.replace(text, ["\t", "\n", "\r"], " ")

  defp digest(value, leaves) do
    if Enum.any?(leaves, &(is_pid(&1) or is_port(&1) or is_reference(&1) or local?(&1))),
      do: "",
      else: Base.encode16(:crypto.hash(:sha256, :erlang.term_to_binary(value, [:deterministic])), case: :lower)
  end

  defp local?(leaf), do: is_function(leaf) and :erlang.fun_info(leaf, :type) == {:type, :local}

  # Of a term, with charlists as strings too.
  defp leaves(list) when is_list(list) and list != [] do
    text = if List.ascii_printable?(list), do: [List.to_string(list)], else: []
    text ++ improper(list)
  rescue
    _ -> improper(list)
  end

  defp leaves(map) when is_map(map), do: map |> :maps.to_list() |> leaves()
  defp leaves(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> leaves()
  defp leaves(leaf), do: [leaf]

  defp improper([head | tail]), do: leaves(head) ++ improper(tail)
  defp improper([]), do: []
  defp improper(tail), do: leaves(tail)

  # Runs `fun`, and writes to `path` what it has read outside of these folders: a line `KIND<TAB>NAME` for each.
  def trace(path, folders, fun) do
    collector = spawn_link(fn -> collect(MapSet.new(), [], File.cwd!(), folders) end)
    files = for {name, arity} <- :prim_file.module_info(:exports), name in @files, do: {:prim_file, name, arity}
    calls = Enum.filter([{:prim_file, :set_cwd, 1} | files] ++ @calls, &loaded?/1)
    pattern = [{:_, [], [{:message, {:caller}}]}]
    for call <- calls, do: :erlang.trace_pattern(call, pattern, [{:meta, collector}])

    try do
      fun.()
    after
      for call <- calls, do: :erlang.trace_pattern(call, false, [:meta])
      ref = :erlang.trace_delivered(:all)

      receive do
        {:trace_delivered, :all, ^ref} -> :ok
      end

      send(collector, {:stop, self(), path})

      receive do
        {^collector, :written} -> :ok
      end
    end
  end

  defp loaded?({module, name, arity}) do
    Code.ensure_loaded?(module) and function_exported?(module, name, arity) or :erlang.is_builtin(module, name, arity)
  end

  # `allowed`: what mix itself is about to read for no dependency.
  defp collect(seen, allowed, cwd, folders) do
    receive do
      {:trace_ts, _, :call, {:prim_file, :set_cwd, [dir]}, _, _} ->
        collect(seen, allowed, Path.expand(to_string(dir), cwd), folders)

      {:trace_ts, _, :call, {Mix.Dep.Lock, _, _}, _, _} ->
        collect(seen, [:lock | allowed], cwd, folders)

      {:trace_ts, _, :call, {Application, :spec, [app | _]}, caller, _} ->
        allowed = if of_mix?(caller), do: [{:application, inspect(app)} | allowed], else: allowed
        collect(seen, allowed, cwd, folders)

      # It tells other VMs what is compiled.
      {:trace_ts, _, :call, {:gen_tcp, _, _}, {Mix.Sync.PubSub, _, _}, _} ->
        collect(seen, [:network, :driver | allowed], cwd, folders)

      {:trace_ts, _, :call, {:gen_tcp, _, _}, _, _} ->
        collect(seen, allowed, cwd, folders)

      {:trace_ts, _, :call, {module, name, args}, caller, _} ->
        read = safely_read(module, name, args, caller, cwd)
        of_mix = of_mix(read)

        cond do
          of_mix in allowed -> collect(seen, List.delete(allowed, of_mix), cwd, folders)
          read == nil or own?(read, folders) -> collect(seen, allowed, cwd, folders)
          true -> collect(MapSet.put(seen, read), allowed, cwd, folders)
        end

      {:stop, from, path} ->
        lines = for {kind, name} <- Enum.sort(seen), not core?(name), do: [kind, ?\t, line(text(name)), ?\n]
        File.write!(path, lines)
        send(from, {self(), :written})
    end
  end

  defp of_mix?({module, _, _}), do: String.starts_with?(inspect(module), "Mix.")
  defp of_mix?(_), do: false

  defp of_mix({"application", name}), do: {:application, name}
  defp of_mix({"network", _}), do: :network
  defp of_mix({"program", "{:spawn_driver, ~c\"tcp_inet\"}"}), do: :driver
  defp of_mix({"file", path}), do: if(Path.basename(path) == "mix.lock", do: :lock)
  defp of_mix(_), do: nil

  defp own?({kind, path}, folders), do: kind in ~w(file folder status) and Enum.any?(folders, &within?(path, &1))

  # Of Erlang or Elixir, which every build with the same key has.
  defp core?(module) when is_atom(module) do
    file = :code.which(module)
    roots = [:code.lib_dir(), :code.lib_dir(:elixir) |> Path.dirname()]
    file == :preloaded or (is_list(file) and Enum.any?(roots, &within?(to_string(file), to_string(&1))))
  end

  defp core?(_), do: false

  # Modules are kept as such until the end.
  defp text(module) when is_atom(module), do: inspect(module)
  defp text(text), do: text

  # Arguments that nobody has thought of keep the dependency out of the store, and don't end the build.
  defp safely_read(module, name, args, caller, cwd) do
    read(module, name, args, caller, cwd)
  rescue
    _ -> {"unknown", "what #{inspect(module)}.#{name} tells"}
  end

  defp within?(path, folder), do: path == folder or String.starts_with?(path, folder <> "/")

  defp read(:prim_file, name, [_, path], caller, cwd) when name in @to, do: read(:prim_file, :open, [path], caller, cwd)

  defp read(:prim_file, name, [path | _], _, cwd) when is_list(path) or is_binary(path) do
    kind =
      case name do
        name when name in [:list_dir, :list_dir_all] -> "folder"
        # mix makes the directories of a package before it is compiled.
        name when name in ~w(make_dir read_file_info read_handle_info read_link read_link_all read_link_info)a -> "status"
        _ -> "file"
      end

    {kind, Path.expand(IO.chardata_to_string(path), cwd)}
  end

  defp read(:prim_file, _, _, _, _), do: nil
  # Warnings name modules like the missing one.
  defp read(UndefinedFunctionError, _, [module | _], _, _), do: {"similar", module}
  defp read(:code, :all_available, _, {UndefinedFunctionError, :hint_for_missing_module, _}, _), do: nil
  # mix itself asks too, and Erlang to load an application or module, which is another call.
  defp read(_, name, _, {caller, _, _}, _) when is_map_key(@of_vm, name) and caller in [:application_controller, :code], do: nil
  defp read(_, name, _, caller, _) when is_map_key(@of_vm, name), do: if(of_mix?(caller), do: nil, else: {"vm", @of_vm[name]})
  defp read(:application_controller, :get_application_module, [module], _, _), do: {"module", module}
  defp read(:application_controller, :get_env, [app, key | _], _, _), do: {"config", name(app, key)}
  defp read(:application_controller, :set_env, [app, key | _], _, _), do: {"set", name(app, key)}
  defp read(:application_controller, :get_all_env, [app], _, _), do: {"configs", inspect(app)}
  defp read(:application_controller, _, [app | _], _, _), do: {"application", inspect(app)}
  defp read(:os, :getenv, [name | _], _, _) when is_list(name), do: {"variable", to_string(name)}
  defp read(:os, _, _, _, _), do: {"variables", "all"}

  defp read(:erlang, :open_port, [what, opts], _, _) do
    # Up to Elixir 1.14, mix has sh start rebar3.
    args = for opts when is_list(opts) <- [opts], {:args, args} <- opts, arg <- args, do: to_string(arg)
    {"program", inspect(what) <> Enum.map_join(args, &" #{inspect(&1)}")}
  end

  defp read(:erlang, :system_info, [what], caller, _) when what in @of_cores, do: of_machine(":erlang.system_info", caller)
  defp read(:erlang, :system_info, _, _, _), do: nil
  defp read(:erlang, :load_nif, [path | _], _, _), do: {"nif", to_string(path)}
  defp read(:erlang, _, [module | _], _, _) when is_atom(module), do: {"module", module}
  defp read(:code, _, [module], _, _) when is_atom(module), do: {"module", module}

  defp read(System, name, _, caller, _), do: of_machine("System.#{name}", caller)

  # mix itself asks too.
  defp read(Mix.Project, _, _, caller, _), do: if(of_mix?(caller), do: nil, else: {"project", inspect(caller)})

  defp read(module, name, _, _, _), do: {"network", "#{inspect(module)}.#{name}"}

  # The compiler asks for the number of cores too.
  defp of_machine(name, {caller, _, _}) do
    tools = ~w(Elixir.Kernel. Elixir.Mix. Elixir.Module. Elixir.System Elixir.Task)
    if Enum.any?(tools, &String.starts_with?(Atom.to_string(caller), &1)), do: nil, else: {"machine", name}
  end

  defp of_machine(name, _), do: {"machine", name}
end
